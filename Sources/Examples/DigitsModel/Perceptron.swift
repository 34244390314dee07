public import Descent
import SeededNumbers

/// A perceptron that tells digits apart: 64 pixels, 64 hidden ReLU units, 10 logits; its passes written by hand.
public struct Perceptron {
    private static let hiddenCount = 64

    private let hiddenWeight: Matrix
    private let hiddenBias: [Float]
    private let outputWeight: Matrix
    private let outputBias: [Float]

    /// A perceptron with parameters that came from ``initialParameters(seed:)``.
    public init(_ parameters: TensorSet) {
        hiddenWeight = Matrix(Self.hiddenCount, Digits.pixelCount, parameters["hidden.weight"])
        hiddenBias = parameters["hidden.bias"]
        outputWeight = Matrix(Digits.digitCount, Self.hiddenCount, parameters["output.weight"])
        outputBias = parameters["output.bias"]
    }

    /// Parameters to start from: biases of 0 and normal weights, of variance 2 / inputs in front of the ReLU and
    /// 1 / inputs behind it.
    public static func initialParameters(seed: UInt64) throws -> TensorSet {
        var parameters = try TensorSet([
            ParameterDescription("hidden.weight", shape: [hiddenCount, Digits.pixelCount]),
            ParameterDescription("hidden.bias", shape: [hiddenCount]),
            ParameterDescription("output.weight", shape: [Digits.digitCount, hiddenCount]),
            ParameterDescription("output.bias", shape: [Digits.digitCount]),
        ])
        let variances = [("hidden.weight", 2 / Float(Digits.pixelCount)), ("output.weight", 1 / Float(hiddenCount))]
        var generator = SeededGenerator(seed: seed)
        for (name, variance) in variances {
            parameters[name] = parameters[name].map { _ in generator.normal() * variance.squareRoot() }
        }
        return parameters
    }

    /// What a forward pass found, and what the backward pass needs of it.
    public struct Activations {
        let images: Matrix
        let hidden: Matrix
        public let logits: Matrix
    }

    /// Runs images forward, in float32.
    public func forward(_ images: Matrix) -> Activations {
        var hidden = images.times(hiddenWeight.transposed())
        hidden.addToRows(hiddenBias)
        hidden.elements = hidden.elements.map { max($0, 0) }
        var logits = hidden.times(outputWeight.transposed())
        logits.addToRows(outputBias)
        return Activations(images: images, hidden: hidden, logits: logits)
    }

    /// Runs the gradient of the logits backward.
    ///
    /// Every gradient is summed in float32 and rounded before it is passed on or stored, as half-precision matrix
    /// products with float32 accumulators do it. Weights and activations stay in float32.
    ///
    /// - Parameters:
    ///   - logitGradient: The gradient of the loss by the logits, a row an image.
    ///   - activations: The forward pass.
    ///   - precision: What gradients are rounded to.
    ///   - gradients: Receives the gradients of the parameters.
    public func backward(
        _ logitGradient: Matrix, through activations: Activations, precision: Precision,
        into gradients: inout TensorSet
    ) {
        let output = precision.rounding(logitGradient)
        var hidden = precision.rounding(output.times(outputWeight))
        for index in hidden.elements.indices where activations.hidden.elements[index] == 0 {
            hidden.elements[index] = 0
        }
        gradients["output.weight"] = precision.rounding(output.transposed().times(activations.hidden).elements)
        gradients["output.bias"] = precision.rounding(output.columnSums())
        gradients["hidden.weight"] = precision.rounding(hidden.transposed().times(activations.images).elements)
        gradients["hidden.bias"] = precision.rounding(hidden.columnSums())
    }

    /// The share of images whose largest logit is that of their digit.
    public func accuracy(on digits: Digits) -> Double {
        let logits = forward(digits.images).logits
        let correct = (0..<digits.count).count { image in
            let row = Array(logits.elements[logits.range(ofRow: image)])
            return row.indices.max { row[$0] < row[$1] } == digits.labels[image]
        }
        return Double(correct) / Double(digits.count)
    }
}
