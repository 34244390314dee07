import Descent
import DescentDistributed

extension Scenario {
    /// A gradient that overflows on one rank has all skip the step, and their loss scales fall alike.
    static func overflow(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        var parameters = TensorSet.random(layout, seed: 5)
        let start = parameters
        for window in [0, 2] {
            var pipeline = try Pipeline(for: parameters) {
                if window > 0 { Accumulate(steps: window) }
                AllReduce(over: world)
                Unscale(.dynamic(initial: 1_024))
                ClipByGlobalNorm(1)
            } driving: {
                AdamW(learningRate: 0.01)
            }
            var gradients = TensorSet.random(layout, seed: world.rank)
            if world.rank == world.rankCount - 1 { gradients["hidden.bias"][3] = .infinity }
            var outcome = try pipeline.step(&parameters, gradients: gradients)
            if window > 0 {
                // The others do not know before the window closes.
                outcome = try pipeline.step(&parameters, gradients: .random(layout, seed: world.rank))
            }
            let reason = outcome.skipReason
            try require(reason?.code == .nonFinite && reason?.parameter == "hidden.bias", "\(outcome)")
            try require(pipeline.lossScale == 512 && pipeline.skippedSteps == 1, "the loss scale falls")
            try require(parameters.bitPatterns == start.bitPatterns, "nothing else changes")
        }
        try world.barrier()
    }

    /// A rank whose window holds nothing has all skip the step, unless weights count.
    static func emptyWindow(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        for reduction in [AllReduce.Reduction.mean, .weighted] {
            var parameters = TensorSet.random(layout, seed: 5)
            var pipeline = try Pipeline(for: parameters) {
                Accumulate(steps: 1, reduction: .weighted, nonFinite: .dropMicroBatch)
                AllReduce(over: world, reduction: reduction)
            } driving: {
                SGD(learningRate: 1)
            }
            func step(_ broken: (Int) -> Bool) throws -> StepOutcome {
                var gradients = TensorSet.random(layout, seed: world.rank)
                if broken(world.rank) { gradients["temperature"] = [.nan] }
                return try pipeline.step(&parameters, gradients: gradients)
            }
            let last = world.rankCount - 1
            let outcome = try step { $0 == last }
            if reduction == .weighted && last > 0 {
                try require(outcome.isApplied, "the others' windows are enough: \(outcome)")
                try requireSameOnAllRanks(parameters, world, "parameters")
            } else {
                try require(outcome.skipReason?.code == .emptyWindow, "\(outcome)")
                let tellsRank = outcome.skipReason?.description.hasPrefix("on rank \(last): ") == true
                try require(tellsRank || last == 0, "\(outcome)")
            }
            try require(try step { _ in true }.skipReason?.code == .emptyWindow, "nobody's window holds anything")
            try require(try step { _ in false }.isApplied, "training goes on")
        }
    }
}
