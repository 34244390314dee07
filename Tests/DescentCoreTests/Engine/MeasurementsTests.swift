import Testing

@testable import DescentCore

/// How the numbers of blocks become those of parameters.
@Suite struct MeasurementsTests {
    /// Stands for a second process, which has measured what this one has, times a number.
    private struct SecondProcess: GradientExchange {
        let exchanged = ExchangedValues.rows
        let multiple: Double

        func gather(_ values: [Double]) -> [[Double]] { [values, values.map { $0 * multiple }] }
    }

    /// Parameter 0 has two blocks, parameter 1 none, parameter 2 one.
    private let blocks = [(0, 0..<1), (0, 1..<2), (2, 0..<1)].map {
        BlockExtent(parameterIndex: $0.0, rows: $0.1, firstRow: 0)
    }

    private func measurements(_ requirements: Requirement...) -> Measurements {
        var plan = Plan(sources: [], window: Plan.Segment(transforms: 0..<0, isWindow: true))
        plan.statistics = requirements.map { Plan.Statistic(what: $0, position: 0) }
        return Measurements(plan, parameterCount: 3, blocks: blocks)
    }

    private func buffers(_ norms: [Double]) -> StepBuffers {
        let buffers = StepBuffers(statisticCount: norms.count / blocks.count, blockCount: blocks.count)
        for (index, norm) in norms.enumerated() { buffers.blockNorms[index] = norm }
        return buffers
    }

    @Test func `norms of blocks combine as norms, counts add up`() {
        var measurements = measurements(.norm(.l2), .norm(.lInfinity), .nonFiniteCount)
        let buffers = buffers([3, 4, 7, 3, 4, 7, 1, 2, 5])
        for statistic in 0..<3 { measurements.combine(statistic, buffers, nil) }
        #expect(measurements.values(0) == [5, 0, 7])
        #expect(measurements.values(1) == [4, 0, 7])
        #expect(measurements.values(2) == [3, 0, 5])
        #expect(measurements.norm(0, over: [0, 1]) == 5)
        #expect(measurements.norm(0) == (74.0).squareRoot())
    }

    @Test func `the first number that is not finite tells its parameter`() {
        var measurements = measurements(.norm(.l2))
        measurements.combine(0, buffers([1, 1, .infinity]), nil)
        #expect(measurements.firstNonFinite(0) == 2)
        measurements.combine(0, buffers([1, .nan, .infinity]), nil)
        #expect(measurements.firstNonFinite(0) == 0)
        measurements.combine(0, buffers([1, 1, 1]), nil)
        #expect(measurements.firstNonFinite(0) == nil)
    }

    @Test func `numbers of other processes are combined in the same way`() {
        var measurements = measurements(.norm(.l2), .nonFiniteCount)
        let buffers = buffers([0, 3, 0, 1, 1, 0])
        for statistic in 0..<2 { measurements.combine(statistic, buffers, SecondProcess(multiple: 4.0 / 3)) }
        #expect(measurements.values(0) == [5, 0, 0])
        #expect(measurements.values(1)[0] == 2 + 8.0 / 3)
    }
}
