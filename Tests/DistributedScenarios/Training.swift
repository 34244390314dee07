import Descent
import DescentDistributed
import SeededNumbers

extension Scenario {
    /// How far the parameters of several ranks may be from those of one process after these few steps.
    private static let tolerance: Float = 2e-6

    /// Ranks with a part of the batch each do what one process does with all of it.
    static func training(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        var parameters = TensorSet.random(layout, seed: 1 + world.rank)
        try world.broadcast(&parameters)
        var whole = parameters
        func pipeline(_ stages: [any Stage]) throws -> Pipeline {
            try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
                Accumulate(steps: 2)
                stages
                Unscale(.dynamic(initial: 1_024, growthInterval: 3))
                Centralize()
                ClipByGlobalNorm(0.5)
            } driving: {
                AdamW(learningRate: 0.01, weightDecay: 0.1)
            }
        }
        var optimizer = try pipeline([AllReduce(over: world, bucketLength: 64)])
        var reference = try pipeline([])
        let ones = [Double](repeating: 1, count: world.rankCount)
        for step in 0..<20 {
            let scale = optimizer.lossScale
            let gradients = (0..<world.rankCount).map { rank in
                var tensors = TensorSet.random(layout, seed: 1_000 * step + rank)
                for parameter in layout { tensors[parameter.name] = tensors[parameter.name].map { $0 * scale } }
                return tensors
            }
            let outcome = try optimizer.step(&parameters, gradients: gradients[world.rank], lossScale: scale)
            let expected = try reference.step(&whole, gradients: .mean(gradients, weights: ones), lossScale: scale)
            try require(outcome.isApplied == expected.isApplied, "step \(step) ends as with one process")
            try require(parameters.distance(to: whole) <= tolerance, "step \(step) is that of one process")
        }
        try require(optimizer.appliedSteps == 10 && optimizer.lossScale == 8_192, "every step counts")
        try requireSameOnAllRanks(parameters, world, "parameters")
    }

    /// Weighted by their weights, uneven parts of a batch count as much as they are large.
    static func weights(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        let start = TensorSet.random(layout, seed: 1)
        let weights = (0..<world.rankCount).map { Double(3 * $0 + 1) }
        let gradients = (0..<world.rankCount).map { TensorSet.random(layout, seed: 2 + $0) }
        let mean = TensorSet.mean(gradients, weights: weights)
        let accumulations: [[any Stage]] = [
            [], [Accumulate(steps: 1, reduction: .weighted)], [Accumulate(steps: 3, reduction: .weighted)],
        ]
        for accumulation in accumulations {
            var parameters = start
            var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
                accumulation
                AllReduce(over: world, reduction: .weighted, bucketLength: 50)
            } driving: {
                SGD(learningRate: 1)
            }
            let length = (accumulation.first as? Accumulate)?.steps ?? 1
            for _ in 0..<length {
                _ = try pipeline.step(
                    &parameters, gradients: gradients[world.rank], weight: weights[world.rank] / Double(length))
            }
            var whole = start
            var reference = try Pipeline(for: whole) {
            } driving: {
                SGD(learningRate: 1)
            }
            _ = try reference.step(&whole, gradients: mean)
            try require(parameters.distance(to: whole) <= tolerance, "the weighted mean of windows of \(length)")
            try requireSameOnAllRanks(parameters, world, "parameters")
        }
    }

    /// Gradients received one by one, in an order of its own on each rank, give the bits of those handed over together.
    static func arrival(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        for (window, elementType) in [(0, ElementType.float32), (0, .bfloat16), (1, .float32), (3, .float32)] {
            var parameters = [TensorSet](repeating: .random(layout, seed: 5), count: 2)
            let pipeline = try Pipeline(for: parameters[0], on: SIMDBackend(threads: 1)) {
                if window > 0 { Accumulate(steps: window, reduction: .weighted) }
                AllReduce(over: world, reduction: .weighted, bucketLength: 40)
                ClipByGlobalNorm(0.5)
            } driving: {
                AdamW(learningRate: 0.01)
            }
            var (together, oneByOne) = (pipeline, pipeline)
            var generator = SeededGenerator(seed: UInt64(world.rank))
            for step in 0..<6 {
                let gradients = TensorSet.random(layout, elementType, seed: 100 * step + world.rank)
                let weight = Double(1 + (step + world.rank) % 3)
                _ = try together.step(&parameters[0], gradients: gradients, weight: weight)
                for parameter in layout.indices.shuffled(using: &generator) where layout[parameter].count > 0 {
                    try oneByOne.receive(gradients, of: parameter, weight: weight)
                }
                _ = try oneByOne.step(&parameters[1])
            }
            try require(oneByOne.appliedSteps == 6 / max(1, window), "each window is a step")
            try require(
                parameters[0].bitPatterns == parameters[1].bitPatterns, "one by one, \(elementType), window \(window)")
            try requireSameOnAllRanks(parameters[0], world, "parameters")
        }
    }

    /// Parameters that a stage has taken out are not exchanged.
    static func frozen(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        var parameters = TensorSet.random(layout, seed: 5)
        let start = parameters
        var pipeline = try Pipeline(for: parameters) {
            AllReduce(over: world)
            Freeze { $0.name == "embedding" }
        } driving: {
            SGD(learningRate: 1)
        }
        for step in 0..<3 {
            _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 10 * step + world.rank))
        }
        try require(parameters["embedding"] == start["embedding"], "the frozen parameter is as it was")
        try require(parameters["hidden.bias"] != start["hidden.bias"], "others are not")
        try requireSameOnAllRanks(parameters, world, "parameters")
    }
}
