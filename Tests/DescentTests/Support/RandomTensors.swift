import Descent

/// SplitMix64: random numbers from a seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// About a normal distribution: the sum of twelve uniform numbers less six.
    mutating func normal() -> Float {
        var sum: Float = -6
        for _ in 0..<12 { sum += Float.random(in: 0..<1, using: &self) }
        return sum
    }
}

extension TensorSet {
    /// Tensors with normal elements from a seed.
    static func random(_ layout: ParameterLayout, seed: UInt64, scale: Float = 1) -> TensorSet {
        var generator = SeededGenerator(seed: seed)
        var tensors = TensorSet(zeros: layout)
        for parameter in layout {
            tensors[parameter.name] = (0..<parameter.count).map { _ in generator.normal() * scale }
        }
        return tensors
    }

    /// The same with about every fourth element a zero, of either sign, as pruning leaves them.
    func pruned(seed: UInt64) -> TensorSet {
        var generator = SeededGenerator(seed: seed)
        var tensors = self
        for parameter in layout {
            tensors[parameter.name] = self[parameter.name].map {
                Int.random(in: 0..<4, using: &generator) > 0 ? $0 : Bool.random(using: &generator) ? 0 : -0.0
            }
        }
        return tensors
    }

    /// The elements of all tensors, in order.
    var arrays: [[Float]] { layout.map { self[$0.name] } }

    /// The bits of all elements.
    var bits: [UInt32] { arrays.flatMap { $0.map(\.bitPattern) } }
}

extension PlainTensors {
    init(_ tensors: TensorSet) { self.init(tensors.layout, tensors.arrays, elementType: tensors.elementType) }
}

/// A layout of shapes, named `layer0.weight`, `layer0.bias`, `layer1.weight`, and so on.
func makeLayout(_ shapes: [[Int]]) throws -> ParameterLayout {
    try ParameterLayout(
        shapes.enumerated().map { index, shape in
            try ParameterDescription("layer\(index / 2).\(index % 2 == 0 ? "weight" : "bias")", shape: shape)
        })
}
