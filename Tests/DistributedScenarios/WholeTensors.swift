import Descent
import DescentDistributed

extension Scenario {
    /// What a stage makes of whole tensors is the same on every rank, though each works on some of them only.
    ///
    /// Where ranks work on rows of their own, they leave such tensors whole.
    static func wholeTensors(_ world: ProcessGroup) throws {
        for arrangement in Arrangement.allCases { try wholeTensors(world, arrangement) }
    }

    private static func wholeTensors(_ world: ProcessGroup, _ arrangement: Arrangement) throws {
        let layout = try ParameterLayout.mixed()
        var parameters = TensorSet.random(layout, seed: 1)
        var whole = parameters
        func pipeline(_ stages: [any Stage], _ sharding: Sharding? = nil) throws -> Pipeline {
            try Pipeline(
                for: parameters, configuration: .init(sharding: sharding), on: SIMDBackend(threads: 1)
            ) {
                stages
                ClipByGlobalNorm(0.5)
            } driving: {
                Reversal().only(.rank(2...4), mayBeUnused: true)
                AdamW(learningRate: 0.01)
            }
        }
        var optimizer =
            switch arrangement {
            case .allReduce: try pipeline([AllReduce(over: world)])
            case .sharded: try pipeline([], .optimizerState(over: world))
            }
        var reference = try pipeline([])
        let ones = [Double](repeating: 1, count: world.rankCount)
        for step in 0..<6 {
            let gradients = (0..<world.rankCount).map { TensorSet.random(layout, seed: 100 * step + $0) }
            _ = try optimizer.step(&parameters, gradients: gradients[world.rank])
            _ = try reference.step(&whole, gradients: .mean(gradients, weights: ones))
            try require(parameters.distance(to: whole) <= 2e-6, "step \(step) is that of one process")
        }
        try requireSameOnAllRanks(parameters, world, "parameters")
        guard arrangement == .allReduce else { return }
        for name in optimizer.slotNames {
            guard let slot = optimizer.slot(named: name) else { continue }
            try requireSameOnAllRanks(slot, world, name)
        }
    }
}

/// Moves along the momentum read backwards, for which it takes the whole tensor.
struct Reversal: DirectionalOptimizer {
    let learningRate: Schedule = 0.1
    var slots: [Slot] { ["momentum"] }
    var reach: StageReach { .tensors(inTurn: true) }

    func makeDirection(_ block: inout some UpdateBlock) {
        block.withUnsafeElements { memory in
            let (gradient, momentum) = (memory.gradient, memory.slots[0])
            for index in gradient.indices { momentum[index] = 0.5 * momentum[index] + gradient[index] }
            for index in gradient.indices { gradient[index] = momentum[gradient.count - 1 - index] }
        }
    }
}
