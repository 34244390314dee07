import Descent
import DescentDistributed
import Foundation

extension Scenario {
    /// A rank that trains another model is an error on all.
    static func otherLayout(_ world: ProcessGroup) throws {
        let columns = world.rank == world.rankCount - 1 ? 5 : 4
        let parameters = try TensorSet([ParameterDescription("weight", shape: [3, columns])])
        try expectMismatch(world) { _ = try trainer(parameters, world) }
    }

    /// A rank that hands over gradients of another type is an error on all.
    static func otherElementType(_ world: ProcessGroup) throws {
        var parameters = try TensorSet([ParameterDescription("weight", shape: [3, 4])])
        var pipeline = try trainer(parameters, world)
        let gradients = TensorSet(zeros: parameters.layout, world.rank == 0 ? .float16 : .float32)
        try expectMismatch(world) { _ = try pipeline.step(&parameters, gradients: gradients) }
    }

    /// A rank that has come to its end while others step ends them too.
    static func fewerSteps(_ world: ProcessGroup) throws {
        var parameters = try TensorSet([ParameterDescription("weight", shape: [3, 4])])
        var pipeline = try trainer(parameters, world)
        let gradients = parameters
        for _ in 0..<(world.rank == 0 ? 3 : 4) { _ = try pipeline.step(&parameters, gradients: gradients) }
    }

    /// The stage is refused where it would combine something else than gradients as they are.
    static func order(_ world: ProcessGroup) throws {
        let all = AllReduce(over: world)
        let wrong: [[any Stage]] = [
            [ClipByGlobalNorm(1), all], [Unscale(), all], [all, Accumulate(steps: 2)], [all, all],
            [Accumulate(steps: 2), Scale(by: 2), all],
            [AllReduce(over: world, bucketLength: 0)],
        ]
        let layout = try ParameterLayout.mixed()
        for stages in wrong {
            do {
                _ = try Chain(for: layout) { stages }
            } catch {
                try require([.stageOrder, .invalidSetting].contains(error.code), "\(error)")
                continue
            }
            throw Failure("\(stages.map(\.name)) are not refused")
        }
        _ = try Chain(for: layout) {
            Freeze(prefix: "hidden")
            Centralize()
            Accumulate(steps: 2)
            all
            Unscale()
        }
    }

    /// A rank that throws ends the others.
    static func error(_ world: ProcessGroup) throws {
        try train(world) { step in if step == 5 { throw Failure("the data ends in mid-word") } }
    }

    /// Throws unless the body throws what it should, on this rank as on all others.
    private static func expectMismatch(_ world: ProcessGroup, _ body: () throws -> Void) throws {
        do { try body() } catch let error as DescentError where error.code == .processMismatch { return }
        throw Failure("rank \(world.rank) did not notice")
    }
}
