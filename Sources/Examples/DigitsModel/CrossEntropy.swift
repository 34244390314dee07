import Foundation

/// The mean over a batch of -log(softmax(logits)[label]).
public struct CrossEntropy {
    /// The loss.
    public let value: Double
    private let probabilities: Matrix
    private let labels: [Int]

    /// Compares logits, a row an image, with the right labels.
    public init(_ logits: Matrix, _ labels: [Int]) {
        var probabilities = logits
        var sum = 0.0
        for (image, label) in labels.enumerated() {
            let range = logits.range(ofRow: image)
            let row = logits.elements[range]
            let largest = row.max() ?? 0
            let powers = row.map { exp($0 - largest) }
            let total = powers.reduce(0, +)
            probabilities.elements.replaceSubrange(range, with: powers.map { $0 / total })
            sum += Double(log(total) - (logits.elements[range.lowerBound + label] - largest))
        }
        value = sum / Double(labels.count)
        self.probabilities = probabilities
        self.labels = labels
    }

    /// The gradient of `scale` times the loss by the logits: (probability - [is the label]) * scale / images.
    public func gradient(scale: Float) -> Matrix {
        var gradient = probabilities
        for (image, label) in labels.enumerated() {
            gradient.elements[image * gradient.columnCount + label] -= 1
        }
        let factor = scale / Float(labels.count)
        gradient.elements = gradient.elements.map { $0 * factor }
        return gradient
    }
}
