import Descent
import DescentDistributed

extension Scenario {
    /// What a stage makes of whole tensors is the same on every rank, though each works on some of them only.
    static func wholeTensors(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout.mixed()
        var parameters = TensorSet.random(layout, seed: 1)
        var whole = parameters
        func pipeline(_ stages: [any Stage]) throws -> Pipeline {
            try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
                stages
                ClipByGlobalNorm(0.5)
            } driving: {
                Reversal().only(.rank(2...4), mayBeUnused: true)
                AdamW(learningRate: 0.01)
            }
        }
        var optimizer = try pipeline([AllReduce(over: world)])
        var reference = try pipeline([])
        let ones = [Double](repeating: 1, count: world.rankCount)
        for step in 0..<6 {
            let gradients = (0..<world.rankCount).map { TensorSet.random(layout, seed: 100 * step + $0) }
            _ = try optimizer.step(&parameters, gradients: gradients[world.rank])
            _ = try reference.step(&whole, gradients: .mean(gradients, weights: ones))
            try require(parameters.distance(to: whole) <= 2e-6, "step \(step) is that of one process")
        }
        try requireSameOnAllRanks(parameters, world, "parameters")
        for name in optimizer.slotNames {
            guard let slot = optimizer.slot(named: name) else { continue }
            try requireSameOnAllRanks(slot, world, name)
        }
    }

    /// A stage that needs whole tensors is refused where ranks hold rows of one, and accepted where they do not.
    static func wholeTensorsInShards(_ world: ProcessGroup) throws {
        let layout = try ParameterLayout([
            ParameterDescription("matrix", shape: [64, 3]), ParameterDescription("bias", shape: [64]),
        ])
        var parameters = TensorSet(zeros: layout)
        if world.rankCount > 1 { try requireRefused(parameters, world) }
        var sharded = try ShardedPipeline(for: parameters, over: world, on: SIMDBackend(threads: 1)) {
        } driving: {
            Reversal().only(.rank(1...1))
            SGD(learningRate: 1)
        }
        _ = try sharded.step(&parameters, gradients: .random(layout, seed: 1))
        try requireSameOnAllRanks(parameters, world, "parameters")
    }

    private static func requireRefused(_ parameters: TensorSet, _ world: ProcessGroup) throws {
        do {
            _ = try ShardedPipeline(for: parameters, over: world, on: SIMDBackend(threads: 1)) {
            } driving: {
                Reversal()
            }
            throw Failure("a matrix that is cut is handed over as a whole")
        } catch let error as DescentError {
            try require(error.parameter == "matrix" && error.stage == "Reversal", error.message)
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
