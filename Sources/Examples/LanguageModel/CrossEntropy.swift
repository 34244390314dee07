import Descent

/// The mean over a batch's tokens of -log(softmax(logits)[target]), in nats.
package struct CrossEntropy {
    /// The loss.
    package let value: Double
    private let probabilities: Matrix
    private let targets: [Int]

    /// Compares logits, a row a token, with what follows each.
    package init(_ logits: Matrix, _ targets: [Int]) {
        var probabilities = logits
        var sum = 0.0
        let width = logits.columnCount
        probabilities.elements.withUnsafeMutableBufferPointer { elements in
            for (row, target) in targets.enumerated() {
                let row = UnsafeMutableBufferPointer(rebasing: elements[row * width..<(row + 1) * width])
                let largest = row.max() ?? 0
                let difference = row[target] - largest
                for column in 0..<width { row[column] = ReproducibleMath.exponential(row[column] - largest) }
                var total: Float = 0
                for power in row { total += power }
                for column in 0..<width { row[column] /= total }
                sum += Double(ReproducibleMath.logarithm(total) - difference)
            }
        }
        value = sum / Double(targets.count)
        self.probabilities = probabilities
        self.targets = targets
    }

    /// The gradient of `scale` times the loss by the logits: (probability - [is the target]) · scale / tokens.
    package func gradient(scale: Float) -> Matrix {
        var gradient = probabilities
        for (row, target) in targets.enumerated() { gradient.elements[row * gradient.columnCount + target] -= 1 }
        let factor = scale / Float(targets.count)
        return gradient.mapped { $0 * factor }
    }

    /// How many bytes it keeps for the gradient.
    var byteCount: Int { probabilities.elements.count * MemoryLayout<Float>.stride }
}
