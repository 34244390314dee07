import Descent
import DescentDistributed
import SeededNumbers

extension ParameterLayout {
    /// Parameters of several ranks and odd sizes, an empty one and a scalar among them.
    static func mixed() throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("embedding", shape: [19, 11]),
            ParameterDescription("hidden.weight", shape: [13, 7, 3]),
            ParameterDescription("hidden.bias", shape: [13]),
            ParameterDescription("nothing", shape: [0, 4]),
            ParameterDescription("temperature", shape: []),
        ])
    }
}

extension TensorSet {
    /// Tensors with random elements.
    static func random(
        _ layout: ParameterLayout, _ elementType: ElementType = .float32, seed: Int
    ) -> TensorSet {
        var tensors = TensorSet(zeros: layout, elementType)
        var generator = SeededGenerator(seed: UInt64(seed))
        for parameter in layout {
            tensors[parameter.name] = (0..<parameter.count).map { _ in Float.random(in: -1...1, using: &generator) }
        }
        return tensors
    }

    /// The mean of several sets, summed in Double.
    static func mean(_ sets: [TensorSet], weights: [Double]) -> TensorSet {
        var result = TensorSet(zeros: sets[0].layout)
        let total = weights.reduce(0, +)
        for parameter in result.layout {
            let values = sets.map { $0[parameter.name] }
            result[parameter.name] = (0..<parameter.count).map { element in
                Float(zip(values, weights).reduce(0) { $0 + Double($1.0[element]) * $1.1 } / total)
            }
        }
        return result
    }

    /// All bits, parameter by parameter.
    var bitPatterns: [[UInt32]] { layout.map { self[$0.name].map(\.bitPattern) } }

    /// The largest difference between elements of two sets.
    func distance(to other: TensorSet) -> Float {
        layout.reduce(0) { largest, parameter in
            zip(self[parameter.name], other[parameter.name]).reduce(largest) { max($0, abs($1.0 - $1.1)) }
        }
    }
}

/// Throws unless all ranks have the same bits.
func requireSameOnAllRanks(_ tensors: TensorSet, _ world: ProcessGroup, _ what: String) throws {
    var first = tensors
    try world.broadcast(&first)
    try require(first.bitPatterns == tensors.bitPatterns, "\(what) of rank \(world.rank) differ from those of rank 0")
}
