import Descent
import DescentDistributed

extension Scenario {
    /// With optimizer state spread over ranks, parameters become what they do where each rank keeps all of it.
    static func sharding(_ world: ProcessGroup) throws {
        let layout = try shardedLayout()
        let chains: [@Sendable () -> [any Stage]] = [
            { [] },
            { [Unscale(.dynamic(initial: 1, growthInterval: 100)), Centralize(), ClipByGlobalNorm(0.5)] },
            { [ClipAdaptively(factor: 0.1), ClipLayerwise(default: 0.3), ClipByNorm(0.2)] },
            {
                [Accumulate(steps: 2, reduction: .weighted), ClipByValue(0.4), ClipByGlobalNorm(0.5, norm: .lInfinity)]
            },
        ]
        let optimizers: [@Sendable () -> any Optimizer] = [
            { AdamW(learningRate: 0.01, weightDecay: 0.1) }, { LAMB(learningRate: 0.01) },
        ]
        for (index, chain) in chains.enumerated() {
            for optimizer in optimizers {
                try compare(layout, chain, optimizer, world, "chain \(index) in front of \(optimizer().name)")
            }
        }
    }

    private static func shardedLayout() throws -> ParameterLayout {
        let parameters =
            try ParameterLayout.mixed() + [
                ParameterDescription("kernel", shape: [3, 5, 6], outputAxis: .last),
                ParameterDescription("narrow.weight", shape: [2, 31]),
                ParameterDescription("wide.weight", shape: [64, 33]),
            ]
        return try ParameterLayout(Array(parameters))
    }

    private static func compare(
        _ layout: ParameterLayout, _ chain: @Sendable () -> [any Stage],
        _ optimizer: @Sendable () -> any Optimizer, _ world: ProcessGroup, _ what: String
    ) throws {
        var whole = TensorSet.random(layout, seed: 3)
        var parameters = whole
        let backend = SIMDBackend(threads: 1)
        func configuration(_ bucketLength: Int) -> PipelineConfiguration {
            .init(sharding: .optimizerState(over: world, reduction: .weighted, bucketLength: bucketLength))
        }
        var sharded = try Pipeline(
            for: parameters, configuration: configuration(100), on: backend, chain, driving: { optimizer() })
        // A window of one process: the weighted mean of what all ranks have.
        var reference = try Pipeline(for: whole, on: backend, chain, driving: { optimizer() })
        let weights = (0..<world.rankCount).map { Double($0 + 1) }
        for step in 0..<6 {
            if step == 3 {
                sharded = try Pipeline(
                    resuming: sharded.state, for: parameters, configuration: configuration(70), on: backend, chain,
                    driving: { optimizer() })
            }
            let gradients = (0..<world.rankCount).map { TensorSet.random(layout, seed: 100 * step + $0) }
            let outcome = try sharded.step(
                &parameters, gradients: gradients[world.rank], weight: weights[world.rank])
            let expected = try reference.step(
                &whole, gradients: .mean(gradients, weights: weights), weight: weights.reduce(0, +))
            try require(outcome.isApplied == expected.isApplied, "\(what): step \(step) ends alike")
            let norms = [outcome, expected].map { $0.report?.gradientNorm ?? 0 }
            try require(abs(norms[0] - norms[1]) <= 1e-5 * norms[1], "\(what): norms \(norms)")
            try require(parameters.distance(to: whole) <= 2e-5, "\(what): \(parameters.distance(to: whole)) apart")
        }
        try require(sharded.appliedSteps == reference.appliedSteps && sharded.appliedSteps > 0, "steps count alike")
        try requireSameOnAllRanks(parameters, world, "parameters")
    }

    /// What a rank keeps shrinks with the number of ranks.
    static func shardedMemory(_ world: ProcessGroup) throws {
        let layout = try shardedLayout()
        let parameters = TensorSet.random(layout, seed: 3)
        let pipeline = try Arrangement.sharded.pipeline(
            for: parameters, over: world, accumulating: Accumulate(steps: 2), driving: AdamW())
        let kept = try pipeline.state.components.flatMap(\.slots).map(\.tensors.layout.elementCount)
        // A row of each parameter, and parameters that stay whole, cannot be divided.
        let limit = layout.elementCount / world.rankCount + layout.map(\.columnCount).reduce(0, +)
        try require(kept.count == 3 && kept.allSatisfy { $0 <= limit }, "\(kept) elements kept, \(limit) allowed")
    }

    /// A gradient that overflows on one rank has all skip the step, for the same reason.
    static func shardedOverflow(_ world: ProcessGroup) throws {
        let layout = try shardedLayout()
        var parameters = TensorSet.random(layout, seed: 3)
        let start = parameters
        var pipeline = try Arrangement.sharded.pipeline(
            for: parameters, over: world, [Unscale(.dynamic(initial: 1_024)), ClipByGlobalNorm(1)], driving: AdamW())
        for parameter in layout where parameter.count > 0 {
            var gradients = TensorSet.random(layout, seed: world.rank)
            if world.rank == world.rankCount - 1 { gradients[parameter.name][parameter.count - 1] = .nan }
            let reason = try pipeline.step(&parameters, gradients: gradients).skipReason
            try require(
                reason?.parameter == parameter.name
                    && reason?.description.contains("holds 1 NaN and 0 infinite of \(parameter.count)") == true,
                "\(String(describing: reason))")
        }
        try require(parameters.bitPatterns == start.bitPatterns, "nothing changes")
        try require(pipeline.lossScale < 1_024, "the loss scale falls")
        _ = try pipeline.step(&parameters, gradients: .random(layout, seed: world.rank))
        try require(parameters.bitPatterns != start.bitPatterns, "training goes on")
        try requireSameOnAllRanks(parameters, world, "parameters")
    }
}
