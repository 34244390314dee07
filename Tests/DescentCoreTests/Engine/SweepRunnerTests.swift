import DescentOptimizers
import DescentSIMD
import DescentTransforms
import Testing

@testable import DescentCore

/// The memory of a pipeline, without the pipeline.
@Suite struct SweepRunnerTests {
    private func runner(
        frozen: [Bool], _ stages: [any Stage] = [], parameterCopy: ElementType? = nil
    ) throws -> SweepRunner<SIMDBackend> {
        let layout = try ParameterLayout(["a", "b", "c"].map { try ParameterDescription($0, shape: [4, 8]) })
        let pipeline = try PlannedPipeline(
            stages, SGD(learningRate: 1, momentum: 0.5).branches, of: layout, isFrozen: frozen)
        return try SweepRunner(
            SIMDBackend(threads: 1, blockLength: 16), layout, isFrozen: frozen, pipeline.slots, pipeline.plan,
            pipeline.whole, nil, parameterCopy: parameterCopy)
    }

    @Test func `what is frozen has no blocks among those that sweeps are over`() throws {
        let all = try runner(frozen: [false, false, false])
        #expect(all.blockRanges == [0..<2, 2..<4, 4..<6])
        let some = try runner(frozen: [false, true, false])
        #expect(some.blocks.map(\.parameterIndex) == [0, 0, 2, 2])
        #expect(some.blockRanges == [0..<2, 0..<0, 2..<4])
    }

    @Test func `room for received gradients is made when it is first needed`() throws {
        var runner = try runner(frozen: [false, false, false])
        #expect(runner.slots.count == 1)
        #expect(runner.windowSlot == nil)
        #expect(runner.makeReceivedSlot() == 1)
        #expect(runner.makeReceivedSlot() == 1)
        #expect(runner.slots.count == 2)
        #expect(runner.windowSlot == 1)
        var accumulating = try self.runner(frozen: [false, false, false], [Accumulate(steps: 2)])
        #expect(accumulating.windowSlot == 0)
        accumulating.makeReceivedSlot()
        #expect(accumulating.windowSlot == 0)
    }

    @Test func `a copy that is made unique shares no buffer`() throws {
        var runner = try runner(frozen: [false, false, false], parameterCopy: .bfloat16)
        runner.buffers.flags[3] = .isNotFinite
        let copy = runner
        runner.makeUnique()
        runner.buffers.flags[3] = []
        #expect(runner.firstFlagged(.isNotFinite) == nil)
        #expect(copy.firstFlagged(.isNotFinite) == 1)
        #expect(runner.parameterCopy?.elementType == .bfloat16)
    }
}
