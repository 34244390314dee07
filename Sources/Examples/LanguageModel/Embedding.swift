package import Descent

/// What tokens become before the first layer: a row for what the token is, plus a row for where it stands.
package struct Embedding {
    private static let (tokenName, positionName) = ("embedding.token", "embedding.position")
    private let width: Int
    private let tokens: [Float]
    private let positions: [Float]

    /// The embedding in a model's parameters.
    package init(_ parameters: TensorSet, width: Int) {
        self.width = width
        tokens = parameters[Self.tokenName]
        positions = parameters[Self.positionName]
    }

    /// The rows of a batch's tokens.
    package func forward(_ batch: Batch) -> Matrix {
        var rows = Matrix(zeros: batch.tokens.count, width)
        for (row, place) in places(batch).enumerated() {
            for column in 0..<width {
                rows.elements[row * width + column] = tokens[place.token + column] + positions[place.position + column]
            }
        }
        return rows
    }

    /// Adds up each row's gradient where it came from.
    package func backward(_ outputGradient: Matrix, _ batch: Batch, into gradients: inout TensorSet) {
        var tokenGradient = [Float](repeating: 0, count: tokens.count)
        var positionGradient = [Float](repeating: 0, count: positions.count)
        for (row, place) in places(batch).enumerated() {
            for column in 0..<width {
                tokenGradient[place.token + column] += outputGradient.elements[row * width + column]
                positionGradient[place.position + column] += outputGradient.elements[row * width + column]
            }
        }
        gradients[Self.tokenName] = tokenGradient
        gradients[Self.positionName] = positionGradient
    }

    /// Where the rows of each token lie.
    private func places(_ batch: Batch) -> [(token: Int, position: Int)] {
        batch.passages.flatMap { rows in
            rows.map { (batch.tokens[$0] * width, ($0 - rows.lowerBound) * width) }
        }
    }
}
