import Descent

/// A model whose parameters are updated: names and shapes, and nothing of what it computes.
enum Workload: String, CaseIterable, Sendable {
    /// The small model of GPT-2.
    case gpt2Small = "gpt2-small"
    /// ResNet-50, for 1,000 classes.
    case resnet50
    /// A multilayer perceptron from 64 to 10 units, with two layers of 256 between them.
    case mlp
    /// A thousand tiny matrices.
    case manySmall = "many-small"
    /// Square matrices, of 1,024 rows and columns.
    case square
    /// Matrices of 768 rows and 3,072 columns.
    case wide

    /// The workloads that are measured unless others are asked for.
    static let usual: [Workload] = [.gpt2Small, .resnet50, .mlp, .manySmall]

    /// A parameter's name and shape.
    typealias Tensor = (name: String, shape: [Int])

    /// All parameters, in the order of the model.
    var tensors: [Tensor] {
        switch self {
        case .gpt2Small: Self.gpt2SmallTensors
        case .resnet50: Self.resnet50Tensors
        case .mlp: Self.linear("fc1", 256, 64) + Self.linear("fc2", 256, 256) + Self.linear("fc3", 10, 256)
        case .manySmall: (0..<1_000).map { ("matrix\($0).weight", [16, 16]) }
        case .square: (0..<24).map { ("matrix\($0).weight", [1_024, 1_024]) }
        case .wide: (0..<24).map { ("matrix\($0).weight", [768, 3_072]) }
        }
    }

    /// The layout of all parameters.
    var layout: ParameterLayout {
        get throws { try ParameterLayout(tensors.map { try ParameterDescription($0.name, shape: $0.shape) }) }
    }

    /// The weight and the bias of a linear layer.
    static func linear(_ name: String, _ outputs: Int, _ inputs: Int) -> [Tensor] {
        [("\(name).weight", [outputs, inputs]), ("\(name).bias", [outputs])]
    }

    /// The weight and the bias of a normalization.
    static func normalization(_ name: String, _ count: Int) -> [Tensor] {
        [("\(name).weight", [count]), ("\(name).bias", [count])]
    }
}
