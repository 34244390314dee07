import Descent
import DigitsModel
import MLX
import MLXNN

/// A perceptron that tells digits apart: 64 pixels, 64 hidden ReLU units, 10 logits.
final class DigitNetwork: Module, UnaryLayer {
    @ModuleInfo var hidden: Linear
    @ModuleInfo var output: Linear

    /// A network with the parameters from which the repository's other examples start.
    init(seed: UInt64) throws {
        let parameters = try Perceptron.initialParameters(seed: seed)
        func array(_ name: String, _ shape: [Int]) -> MLXArray { MLXArray(parameters[name], shape) }
        hidden = Linear(weight: array("hidden.weight", [64, Digits.pixelCount]), bias: array("hidden.bias", [64]))
        output = Linear(
            weight: array("output.weight", [Digits.digitCount, 64]), bias: array("output.bias", [Digits.digitCount]))
        super.init()
    }

    func callAsFunction(_ images: MLXArray) -> MLXArray { output(relu(hidden(images))) }

    /// The share of images whose largest logit is that of their digit.
    func accuracy(on digits: Digits) -> Float {
        let found = argMax(self(MLXArray(digits)), axis: 1)
        return (found .== MLXArray(digits.labels.map(Int32.init))).asType(.float32).mean().item(Float.self)
    }
}

/// Layers of as many inputs as outputs, to measure updates with.
final class WideNetwork: Module, UnaryLayer {
    let layers: [Linear]

    init(width: Int, count: Int) {
        layers = (0..<count).map { layer in
            Linear(
                weight: MLXRandom.normal([width, width], key: MLXRandom.key(UInt64(layer))) * 0.03,
                bias: zeros([width]))
        }
        super.init()
    }

    func callAsFunction(_ input: MLXArray) -> MLXArray { layers.reduce(input) { tanh($1($0)) } }
}

extension MLXArray {
    /// The pixels of images, a row an image.
    convenience init(_ digits: Digits) { self.init(digits.images.elements, [digits.count, Digits.pixelCount]) }
}
