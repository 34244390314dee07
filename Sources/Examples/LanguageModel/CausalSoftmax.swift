import Descent

/// A softmax over each row of scores that lets a token see itself and those before it: p_ij = e^s_ij / Σ_(k ≤ i) e^s_ik.
enum CausalSoftmax {
    /// The probabilities of scores times a factor; 0 for tokens that come later.
    static func forward(_ scores: Matrix, scale: Float) -> Matrix {
        var probabilities = Matrix(zeros: scores.rowCount, scores.columnCount)
        let width = scores.columnCount
        scores.elements.withUnsafeBufferPointer { scores in
            probabilities.elements.withUnsafeMutableBufferPointer { probabilities in
                for row in 0..<width {
                    let start = row * width
                    var largest = -Float.infinity
                    for column in start...start + row { largest = max(largest, scores[column]) }
                    for column in start...start + row {
                        probabilities[column] = ReproducibleMath.exponential((scores[column] - largest) * scale)
                    }
                    var sum: Float = 0
                    for column in start...start + row { sum += probabilities[column] }
                    let inverse = 1 / sum
                    for column in start...start + row { probabilities[column] *= inverse }
                }
            }
        }
        return probabilities
    }

    /// The gradient by the scores: ds_ij = scale · p_ij (dp_ij - Σ_k dp_ik p_ik).
    static func backward(_ probabilityGradient: Matrix, _ probabilities: Matrix, scale: Float) -> Matrix {
        var gradient = Matrix(zeros: probabilities.rowCount, probabilities.columnCount)
        let width = probabilities.columnCount
        gradient.elements.withUnsafeMutableBufferPointer { gradient in
            probabilities.elements.withUnsafeBufferPointer { p in
                probabilityGradient.elements.withUnsafeBufferPointer { dp in
                    for row in 0..<width {
                        let seen = row * width...row * width + row
                        var sum: Float = 0
                        for index in seen { sum += dp[index] * p[index] }
                        for index in seen { gradient[index] = scale * p[index] * (dp[index] - sum) }
                    }
                }
            }
        }
        return gradient
    }
}
