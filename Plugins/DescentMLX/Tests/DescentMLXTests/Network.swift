import Foundation
import MLX
import MLXNN

/// A perceptron of two layers, whose weights are the same in every run.
final class Network: Module, UnaryLayer {
    @ModuleInfo var first: Linear
    @ModuleInfo var second: Linear

    init(_ type: DType = .float32) {
        first = Linear(weight: wave([8, 6], 0.9, type), bias: wave([8], 0.3, type))
        second = Linear(weight: wave([3, 8], 1.1, type), bias: wave([3], 0.1, type))
        super.init()
    }

    func callAsFunction(_ input: MLXArray) -> MLXArray { second(tanh(first(input))) }
}

/// Numbers between -0.5 and 0.5 that depend on the position and a phase.
func wave(_ shape: [Int], _ phase: Float, _ type: DType = .float32) -> MLXArray {
    let numbers = (0..<shape.reduce(1, *)).map { index in sin(Float(index) * 1.7 + phase) / 2 }
    return MLXArray(numbers, shape).asType(type)
}

/// The gradients of the mean squared error on a batch, times a factor.
func gradients<Model: Module & UnaryLayer>(
    of model: Model, batch: Int, inputs: Int = 6, times factor: Float = 1
) -> ModuleParameters {
    let type = model.parameters().flattened().first?.1.dtype ?? .float32
    let images = wave([16, inputs], Float(batch), type)
    let targets = wave([16, 3], Float(batch) + 0.5, type)
    let differentiated = valueAndGrad(model: model) { (model: Model, images: MLXArray, targets: MLXArray) in
        (model(images) - targets).square().mean() * factor
    }
    return differentiated(model, images, targets).1
}

/// Gradients in which one element of one array is something else.
func spoiled(_ gradients: ModuleParameters, _ name: String, by value: Float) -> ModuleParameters {
    let spoiled = gradients.flattened().map { found, array -> (String, MLXArray) in
        guard found == name else { return (found, array) }
        let position = MLXArray(0..<array.size).reshaped(array.shape)
        return (found, which(position .== 1, MLXArray(value), array))
    }
    return .unflattened(spoiled)
}

/// The elements of an array in row-major order, as they are stored.
func bits(_ array: MLXArray) -> Data { array.asData(access: .copy).data }

/// The elements of every array, as they are stored, by name.
func bits(_ parameters: ModuleParameters) -> [String: Data] {
    Dictionary(uniqueKeysWithValues: parameters.flattened().map { ($0, bits($1)) })
}

/// The largest difference between elements of two models.
func largestDifference(_ first: Module, _ second: Module) -> Float {
    zip(first.parameters().flattened(), second.parameters().flattened()).map { one, other in
        abs(one.1.asType(.float32) - other.1.asType(.float32)).max().item(Float.self)
    }.max() ?? 0
}

/// A model with arrays that are apart from another's, and hold the same.
func restored(_ parameters: ModuleParameters, in model: Network = Network()) -> Network {
    let arrays = parameters.flattened().map { name, array in
        (name, MLXArray(array.asArray(Float.self), array.shape).asType(array.dtype))
    }
    model.update(parameters: .unflattened(arrays))
    return model
}
