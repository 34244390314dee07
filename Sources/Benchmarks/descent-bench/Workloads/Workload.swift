import Descent

/// A model whose parameters are updated: names and shapes, and nothing of what it computes.
struct Workload: Sendable {
    /// What it is asked for by.
    let name: String
    /// What it is, in a few words.
    let summary: String
    /// All parameters, in the order of the model.
    let tensors: [Tensor]

    /// A parameter's name and shape.
    typealias Tensor = (name: String, shape: [Int])

    /// The workloads that have names of their own.
    static let all = usual + [matrices, square, wide]

    /// The workloads that chains are measured over unless others are asked for.
    static let usual = [gpt2Small, resnet50, mlp, manySmall]

    /// The small model of GPT-2.
    static let gpt2Small = Workload("gpt2-small", "148 tensors, 124,439,808 elements", gpt2SmallTensors)
    /// ResNet-50, for 1,000 classes.
    static let resnet50 = Workload("resnet50", "161 tensors, 25,557,032 elements", resnet50Tensors)
    /// A multilayer perceptron from 64 to 10 units, with two layers of 256 between them.
    static let mlp = Workload(
        "mlp", "6 tensors, 85,002 elements", linear("fc1", 256, 64) + linear("fc2", 256, 256) + linear("fc3", 10, 256))
    /// A thousand tiny matrices.
    static let manySmall = Workload(
        "many-small", "1,000 tensors, 256,000 elements", (0..<1_000).map { ("matrix\($0).weight", [16, 16]) })
    /// As many wide as tall matrices, as transformers have them: what every optimizer and stage is measured over.
    static let matrices = Workload(
        "matrices", "24 matrices, half of 2,048 x 512 and half of 512 x 2,048: 25,165,824 elements",
        (0..<24).map { ("matrix\($0).weight", $0.isMultiple(of: 2) ? [2_048, 512] : [512, 2_048]) })
    /// Square matrices.
    static let square = Workload(
        "square", "24 matrices of 1,024 x 1,024", (0..<24).map { ("matrix\($0).weight", [1_024, 1_024]) })
    /// Matrices with four times as many columns as rows.
    static let wide = Workload(
        "wide", "24 matrices of 768 x 3,072", (0..<24).map { ("matrix\($0).weight", [768, 3_072]) })

    private static let sizePrefix = "size-"
    private static let sizes = 100...1_000_000_000

    /// The workload of a name, which may be one of so many elements: `size-1000`.
    init?(named name: String) {
        if let workload = Self.all.first(where: { $0.name == name }) {
            self = workload
        } else if name.hasPrefix(Self.sizePrefix), let count = Int(name.dropFirst(Self.sizePrefix.count)),
            Self.sizes.contains(count)
        {
            self.init(elementCount: count)
        } else {
            return nil
        }
    }

    /// 24 square matrices of about so many elements together, or fewer matrices where they would be smaller than 4 x 4.
    init(elementCount: Int) {
        let count = min(24, max(1, elementCount / 16))
        let side = Int((Double(elementCount) / Double(count)).squareRoot().rounded())
        self.init(
            "\(Self.sizePrefix)\(elementCount)", "about so many elements in square matrices",
            (0..<count).map { ("matrix\($0).weight", [side, side]) })
    }

    private init(_ name: String, _ summary: String, _ tensors: [Tensor]) {
        (self.name, self.summary, self.tensors) = (name, summary, tensors)
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
