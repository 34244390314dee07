import Descent
import DescentDistributed

extension Scenario {
    /// Combined gradients are the sum in the order of ranks, in float32, bit for bit, whatever the buckets.
    static func sums(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        for elementType in ElementType.allCases {
            let gradients = (0..<world.rankCount).map { TensorSet.random(layout, elementType, seed: 10 + $0) }
            let shortest = elementType == .float32 ? 1 : 5
            for bucketLength in [shortest, 7, 100, nil] {
                for (reduction, divisor) in [(AllReduce.Reduction.sum, Float(1)), (.mean, Float(world.rankCount))] {
                    var chain = try Chain(for: layout) {
                        AllReduce(over: world, reduction: reduction, bucketLength: bucketLength)
                    }
                    var result = TensorSet(zeros: layout)
                    // What a chain transforms it also writes to, so 16-bit gradients go in through a pipeline.
                    if elementType == .float32 {
                        result = gradients[world.rank]
                        try require(try chain.transform(&result).isApplied, "the step is applied")
                    } else {
                        result = try descended(along: gradients[world.rank], reduction, bucketLength, world)
                    }
                    let factor = 1 / divisor
                    for parameter in layout {
                        let values = gradients.map { $0[parameter.name] }
                        let expected = (0..<parameter.count).map { element in
                            world.rankCount == 1
                                ? values[0][element] : values.reduce(Float(0)) { $0 + $1[element] * factor }
                        }
                        try require(
                            result[parameter.name] == expected,
                            "\(reduction) of \(elementType) \(parameter.name) in buckets of \(bucketLength ?? 0)")
                    }
                }
            }
        }
    }

    /// Where gradients and sums move in 16 bits, both are rounded once, and sums are those of float32.
    static func sixteenBits(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        for movingType in [ElementType.bfloat16, .float16] {
            for elementType in ElementType.allCases {
                let gradients = (0..<world.rankCount).map { TensorSet.random(layout, elementType, seed: 10 + $0) }
                for bucketLength in [7, 100] {
                    let result = try descended(
                        along: gradients[world.rank], .mean, bucketLength, world, movingAs: movingType)
                    let factor = 1 / Float(world.rankCount)
                    for parameter in layout {
                        let values = gradients.map { $0[parameter.name] }
                        let expected = (0..<parameter.count).map { element in
                            world.rankCount == 1
                                ? values[0][element]
                                : movingType.rounded(
                                    values.reduce(Float(0)) { $0 + movingType.rounded($1[element]) * factor })
                        }
                        try require(
                            result[parameter.name] == expected,
                            "\(elementType) \(parameter.name) moved as \(movingType)")
                    }
                }
            }
        }
    }

    /// What gradients take a zero parameter to at a learning rate of -1: the gradients themselves.
    private static func descended(
        along gradients: TensorSet, _ reduction: AllReduce.Reduction, _ bucketLength: Int?, _ world: ProcessGroup,
        movingAs movingType: ElementType? = nil
    ) throws -> TensorSet {
        var parameters = TensorSet(zeros: gradients.layout)
        var pipeline = try Pipeline(for: parameters) {
            AllReduce(over: world, reduction: reduction, bucketLength: bucketLength, movingAs: movingType)
            Scale(by: -1)
        } driving: {
            SGD(learningRate: 1)
        }
        _ = try pipeline.step(&parameters, gradients: gradients)
        return parameters
    }

    /// What one rank has, all have.
    static func broadcast(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        for root in 0..<world.rankCount {
            for elementType in ElementType.allCases {
                var tensors = TensorSet.random(layout, elementType, seed: world.rank)
                try world.broadcast(&tensors, from: root)
                let expected = TensorSet.random(layout, elementType, seed: root)
                try require(tensors.bitPatterns == expected.bitPatterns, "\(elementType) tensors of rank \(root)")
            }
        }
        try world.barrier()
    }
}
