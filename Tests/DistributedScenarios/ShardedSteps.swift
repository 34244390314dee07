import Descent
import DescentDistributed

/// What ranks that work on rows of their own do in one step or another has to be what one process does.
extension Scenario {
    /// A chain, an optimizer and a configuration.
    private struct Recipe: Sendable {
        let name: String
        var configuration = PipelineConfiguration()
        var stages: @Sendable () throws -> [any Stage] = { [] }
        var optimizer: @Sendable () -> any Driving = { AdamW(learningRate: 0.01, weightDecay: 0.1) }
        /// How far parameters may be from those of one process.
        var tolerance: Float = 2e-5
    }

    private static let recipes = [
        Recipe(name: "noise", stages: { [AddNoise(eta: 0.1, seed: 7)] }),
        Recipe(name: "noise of some", stages: { [AddNoise(eta: 0.1, seed: 7).only(.rank(2...4))] }),
        Recipe(name: "adaptive scale", stages: { [Unscale(.adaptive(initial: 1)), ClipByGlobalNorm(1)] }),
        Recipe(name: "frozen", stages: { [Freeze(prefix: "wide"), ClipByGlobalNorm(1)] }),
        Recipe(name: "window", stages: { [Accumulate(steps: 3), Centralize(), ClipByGlobalNorm(0.5)] }),
        Recipe(name: "copy", configuration: .init(parameterCopy: .bfloat16)),
        Recipe(name: "ratio", configuration: .init(reporting: [.updateRatio, .layerNorms])),
        Recipe(
            name: "average", stages: { [Freeze(prefix: "narrow")] },
            optimizer: { SGD(learningRate: 0.1, momentum: 0.9).then { ExponentialMovingAverage(decay: 0.5) } }),
        Recipe(name: "behind", optimizer: { AdamW(learningRate: 0.01).then { TrustRatio() } }),
        Recipe(name: "top", stages: { [TopK(share: 0.2)] }),
        Recipe(name: "rows", optimizer: { NovoGrad(learningRate: 0.01) }),
        Recipe(name: "whole", optimizer: { Adafactor(learningRate: 0.01) }),
        Recipe(
            name: "coarse moments", optimizer: { AdamW(learningRate: 0.01, moments: .int8) }, tolerance: 1e-3),
        Recipe(
            name: "rounded moments", optimizer: { AdamW(learningRate: 0.01, moments: .bfloat16) }, tolerance: 1e-3),
    ]

    private static func layout() throws -> ParameterLayout {
        let parameters =
            try ParameterLayout.mixed() + [
                ParameterDescription("kernel", shape: [3, 5, 6], outputAxis: .last),
                ParameterDescription("narrow.weight", shape: [2, 31]),
                ParameterDescription("wide.weight", shape: [96, 65]),
            ]
        return try ParameterLayout(Array(parameters))
    }

    /// Every stage, optimizer and configuration does in shards what it does in one process, however gradients come.
    static func shardedRecipes(_ world: ProcessGroup) throws {
        for (index, recipe) in recipes.enumerated() {
            // Each both ways, by one number of ranks or another.
            try compare(recipe, streams: (index + world.rankCount).isMultiple(of: 2), world)
        }
    }

    private static func compare(_ recipe: Recipe, streams: Bool, _ world: ProcessGroup) throws {
        let layout = try layout()
        var whole = TensorSet.random(layout, seed: 3)
        var parameters = whole
        func pipeline(_ sharding: Sharding?) throws -> Pipeline {
            var configuration = recipe.configuration
            configuration.sharding = sharding
            let stages = try recipe.stages()
            return try Pipeline(for: parameters, configuration: configuration, on: SIMDBackend(threads: 1)) {
                stages
            } driving: {
                recipe.optimizer()
            }
        }
        var sharded = try pipeline(.optimizerState(over: world, bucketLength: 500))
        var reference = try pipeline(nil)
        try require(sharded.parameterCopy == reference.parameterCopy, "\(recipe.name): the first copy")
        let ones = [Double](repeating: 1, count: world.rankCount)
        for step in 0..<7 {
            if step == 2 {
                sharded.requestHistograms()
                reference.requestHistograms()
            }
            let gradients = (0..<world.rankCount).map { TensorSet.random(layout, seed: 100 * step + $0) }
            let expected = try reference.step(&whole, gradients: .mean(gradients, weights: ones))
            let outcome: StepOutcome
            if streams {
                // Each rank in an order of its own.
                for offset in layout.indices {
                    let parameter = (layout.count - 1 - offset + world.rank) % layout.count
                    try sharded.receive(gradients[world.rank], of: parameter)
                }
                outcome = try sharded.step(&parameters)
            } else {
                outcome = try sharded.step(&parameters, gradients: gradients[world.rank])
            }
            let what = "\(recipe.name), \(streams ? "one by one" : "at once"), step \(step)"
            try require("\(outcome)".prefix(9) == "\(expected)".prefix(9), "\(what): \(outcome), not \(expected)")
            let distance = parameters.distance(to: whole)
            try require(distance <= recipe.tolerance, "\(what): \(distance) apart")
            if let ratios = [outcome.report?.updateRatio, expected.report?.updateRatio] as? [Float] {
                try require(abs(ratios[0] - ratios[1]) <= 1e-4 * ratios[1], "\(what): ratios \(ratios)")
            }
            let layers = [outcome, expected].map { $0.report?.layerNorms.map(\.layer) ?? [] }
            try require(layers[0] == layers[1], "\(what): layers \(layers)")
            try require(sharded.lossScale == reference.lossScale, "\(what): loss scales")
        }
        if let last = try sharded.flush(&parameters) {
            try require(try reference.flush(&whole)?.isApplied == last.isApplied, "\(recipe.name): flushed alike")
            try require(parameters.distance(to: whole) <= recipe.tolerance, "\(recipe.name): flushed")
        }
        try requireSameOnAllRanks(parameters, world, recipe.name)
        let counts = [sharded, reference].map { $0.histograms.map(\.count) }
        try require(counts[0] == counts[1] && counts[0].reduce(0, +) > 0, "\(recipe.name): histograms of \(counts)")
        if let copy = sharded.parameterCopy {
            try requireSameOnAllRanks(copy, world, "copy")
            let names = layout.map(\.name)
            try require(
                names.allSatisfy { name in
                    zip(copy[name], parameters[name]).allSatisfy { abs($0 - $1) <= abs($1) / 128 }
                }, "the copy is that of the parameters")
        }
        if let average = try sharded.gatherAveragedParameters(parameters), let expected = reference.averagedParameters {
            try require(average.distance(to: expected) <= recipe.tolerance, "\(recipe.name): averages")
            try requireSameOnAllRanks(average, world, "average")
        } else {
            try require(recipe.name != "average", "no average")
        }
    }

    /// What only one rank's rows hold is found on all: a sum that is not finite, a parameter that an update has made infinite.
    static func shardedFindings(_ world: ProcessGroup) throws {
        let layout = try layout()
        for parameter in layout where parameter.count > 0 {
            var parameters = TensorSet.random(layout, seed: 3)
            var pipeline = try Arrangement.sharded.pipeline(
                for: parameters, over: world, accumulating: Accumulate(steps: 2), driving: SGD(learningRate: 1))
            var gradients = TensorSet.random(layout, seed: world.rank)
            gradients[parameter.name][parameter.count - 1] = .infinity
            guard case .accumulated(let progress) = try pipeline.step(&parameters, gradients: gradients) else {
                throw Failure("the window is not open")
            }
            try require(progress.rejection?.parameter == parameter.name, "\(parameter.name): \(progress)")
            let last = try pipeline.step(&parameters, gradients: .random(layout, seed: 5))
            try require(last.skipReason?.parameter == parameter.name, "\(parameter.name): \(last)")

            // A gradient that is finite, and an update that is not.
            gradients[parameter.name][parameter.count - 1] = 2e38
            var sharded = try Arrangement.sharded.pipeline(
                for: parameters, over: world, driving: SGD(learningRate: 10))
            guard case .diverged(let divergence) = try sharded.step(&parameters, gradients: gradients) else {
                throw Failure("\(parameter.name) has not diverged")
            }
            try require(divergence.parameter == parameter.name, "\(divergence)")
            try requireSameOnAllRanks(parameters, world, "diverged parameters")
        }
    }

    /// What one rank alone asks for, or gradients that weigh nothing, are an error on all, after which all go on.
    static func shardedMisuse(_ world: ProcessGroup) throws {
        let layout = try layout()
        var parameters = TensorSet.random(layout, seed: 3)
        let configuration = PipelineConfiguration(sharding: .optimizerState(over: world, reduction: .weighted))
        var pipeline = try Pipeline(for: parameters, configuration: configuration, on: SIMDBackend(threads: 1)) {
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 0.1).then { ExponentialMovingAverage(decay: 0.5) }
        }
        let gradients = TensorSet.random(layout, seed: world.rank)
        try expect(.invalidWeight, "weigh 0", world) {
            _ = try pipeline.step(&parameters, gradients: gradients, weight: 0)
        }
        _ = try pipeline.step(&parameters, gradients: gradients)
        if world.rank == 0 { pipeline.requestHistograms() }
        try expect(.processMismatch, "", world) { _ = try pipeline.step(&parameters, gradients: gradients) }
        try expect(.processMismatch, "", world) {
            if world.rank == 0 {
                _ = try pipeline.gatherAveragedParameters(parameters)
            } else {
                _ = try pipeline.step(&parameters, gradients: gradients)
            }
        }
        try requireSameOnAllRanks(parameters, world, "parameters")
    }

    /// A state of all rows goes on in shards, and settings change; the state of one rank's rows is refused elsewhere.
    static func shardedResumption(_ world: ProcessGroup) throws {
        let layout = try layout()
        var whole = TensorSet.random(layout, seed: 3)
        let ones = [Double](repeating: 1, count: world.rankCount)
        func pipeline(_ state: PipelineState<TensorSet>? = nil, _ sharding: Sharding? = nil) throws -> Pipeline {
            let stages: [any Stage] = [Accumulate(steps: 2), ClipByGlobalNorm(0.5)]
            let optimizer = AdamW(learningRate: 0.01, moments: .int8)
            let configuration = PipelineConfiguration(sharding: sharding)
            guard let state else {
                return try Pipeline(for: whole, configuration: configuration, on: SIMDBackend(threads: 1)) {
                    stages
                } driving: {
                    optimizer
                }
            }
            return try Pipeline(
                resuming: state, for: whole, configuration: configuration, on: SIMDBackend(threads: 1)
            ) {
                stages
            } driving: {
                optimizer
            }
        }
        var reference = try pipeline()
        for step in 0..<3 { _ = try reference.step(&whole, gradients: .random(layout, seed: step)) }
        // In the middle of a window.
        var parameters = whole
        var sharded = try pipeline(reference.state, .optimizerState(over: world))
        for step in 3..<8 {
            if step == 5 {
                try sharded.change(ClipByGlobalNorm.self) { $0.maximum = 0.25 }
                try reference.change(ClipByGlobalNorm.self) { $0.maximum = 0.25 }
            }
            let gradients = (0..<world.rankCount).map { TensorSet.random(layout, seed: 100 * step + $0) }
            _ = try sharded.step(&parameters, gradients: gradients[world.rank])
            _ = try reference.step(&whole, gradients: .mean(gradients, weights: ones))
            try require(parameters.distance(to: whole) <= 1e-3, "step \(step): \(parameters.distance(to: whole)) apart")
        }
        try requireSameOnAllRanks(parameters, world, "parameters")
        guard world.rankCount > 1 else { return }
        let state = try sharded.state
        try expect(.stateMismatch, "process \(world.rank) of \(world.rankCount)", world) { _ = try pipeline(state) }
        try expect(.invalidSetting, "shared with other processes", world) { try sharded.relayout(for: parameters) }
    }

    /// Parameters of 16 bits, with masters and without, are the same on all ranks.
    static func shardedLowPrecision(_ world: ProcessGroup) throws {
        let layout = try layout()
        for treatment in [LowPrecisionParameters.masterCopies, .stochasticRounding] {
            let floats = TensorSet.random(layout, seed: 3)
            var parameters = TensorSet(zeros: layout, .bfloat16)
            for parameter in layout { parameters[parameter.name] = floats[parameter.name] }
            var whole = parameters
            var configuration = PipelineConfiguration(lowPrecisionParameters: treatment)
            var reference = try Pipeline(for: whole, configuration: configuration, on: SIMDBackend(threads: 1)) {
            } driving: {
                SGD(learningRate: 0.125)
            }
            configuration.sharding = .optimizerState(over: world, reduction: .sum)
            var sharded = try Pipeline(for: whole, configuration: configuration, on: SIMDBackend(threads: 1)) {
            } driving: {
                SGD(learningRate: 0.125)
            }
            for step in 0..<4 {
                // All but one rank's gradients are 0, so that sums are exact.
                let gradients = TensorSet.random(layout, seed: step)
                _ = try reference.step(&whole, gradients: gradients)
                _ = try sharded.step(&parameters, gradients: world.rank == 0 ? gradients : TensorSet(zeros: layout))
                try require(parameters == whole, "\(treatment), step \(step): other bits than in one process")
            }
        }
    }
}
