import Descent
import DescentCore
import TestSupport
import Testing

/// Repairing gradients that are not finite.
@Suite struct ZeroNonFiniteTests {
    let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("fc.weight", shape: [9, 7]), ParameterDescription("fc.bias", shape: [9]),
            ParameterDescription("out.kernel", shape: [3, 17], outputAxis: .last),
        ])
    }

    /// Gradients with seven elements that are not finite, and the same with zeros there.
    private func spoiled() -> (gradients: TensorSet, repaired: TensorSet) {
        var (gradients, repaired) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        for (name, index, value) in [
            ("fc.weight", 0, Float.nan), ("fc.weight", 17, .infinity), ("fc.weight", 62, -.infinity),
            ("fc.bias", 3, .signalingNaN), ("out.kernel", 0, .infinity), ("out.kernel", 30, .nan),
            ("out.kernel", 50, .nan),
        ] {
            gradients[name][index] = value
            repaired[name][index] = 0
        }
        return (gradients, repaired)
    }

    private func transform(
        _ gradients: inout TensorSet, nonFinite: NonFinitePolicy = .skip, _ stages: [any Stage]
    ) throws -> StepOutcome {
        let backend = SIMDBackend(threads: 2, blockLength: 16, elementsPerThread: 16)
        var chain = try Chain(for: layout, configuration: .init(nonFinite: nonFinite), on: backend) { stages }
        return try chain.transform(&gradients)
    }

    @Test func `NaN and infinities become zeros, the step is applied and the report counts them`() throws {
        let (spoiled, repaired) = spoiled()
        var gradients = spoiled
        guard case .applied(let report) = try transform(&gradients, [ZeroNonFinite()]) else {
            Issue.record("skipped")
            return
        }
        #expect(gradients.bits == repaired.bits)
        #expect(report.counts.map(\.stage) == ["ZeroNonFinite"])
        #expect(report.counts.map(\.count) == [7])
        #expect(report.counts.map(\.total) == [layout.elementCount])
    }

    @Test func `stages behind it work on what is left`() throws {
        let behind: [any Stage] = [Unscale(.static(2)), Centralize(), ClipByGlobalNorm(0.5), Normalize()]
        var (gradients, repaired) = spoiled()
        #expect(try transform(&gradients, [ZeroNonFinite()] + behind).isApplied)
        #expect(try transform(&repaired, behind).isApplied)
        #expect(largestDifference(gradients.arrays.joined(), repaired.arrays.joined()) < 1e-6)
    }

    @Test func `a gradient that is finite passes, bit for bit, and is counted as none`() throws {
        var gradients = TensorSet.random(layout, seed: 2)
        let before = gradients.bits
        guard case .applied(let report) = try transform(&gradients, [ZeroNonFinite()]) else {
            Issue.record("skipped")
            return
        }
        #expect(gradients.bits == before)
        #expect(report.counts.map(\.count) == [0])
    }

    @Test func `an Unscale or a norm before it still skips, and so does a chain without it`() throws {
        for stages: [any Stage] in [
            [Unscale(.static(4)), ZeroNonFinite()], [ClipByGlobalNorm(1), ZeroNonFinite()],
            [Centralize(), ClipByNorm(1), ZeroNonFinite()], [Centralize()], [ClipByValue(1)], [],
        ] {
            var gradients = spoiled().gradients
            let before = gradients.bits
            guard case .skipped(let reason) = try transform(&gradients, stages) else {
                Issue.record("applied by \(stages)")
                continue
            }
            #expect(reason.parameter == "fc.weight")
            #expect(gradients.bits == before)
        }
    }

    @Test func `an Unscale behind it never sees an overflow`() throws {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            ZeroNonFinite()
            Unscale(.dynamic(initial: 16))
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(try pipeline.step(&parameters, gradients: spoiled().gradients).isApplied)
        #expect(pipeline.lossScale == 16)
        #expect(parameters.arrays.joined().allSatisfy { $0.isFinite })
    }

    @Test func `behind Centralize a whole row is lost, and counted`() throws {
        for outputAxis: OutputAxis in [.first, .last] {
            let shape = outputAxis == .first ? [5, 4] : [4, 5]
            let layout = try ParameterLayout([ParameterDescription("w", shape: shape, outputAxis: outputAxis)])
            var gradients = TensorSet.random(layout, seed: 3)
            // An element of the fourth unit.
            let index = outputAxis == .first ? 13 : 8
            gradients["w"][index] = .nan
            var plain = PlainTensors(gradients)
            func stages() -> [any Stage] { [Centralize(), ZeroNonFinite()] }
            var chain = try Chain(for: layout, stages)
            var plainChain = try GradientChain(for: layout, on: PlainBackend(), stages)
            guard case .applied(let report) = try chain.transform(&gradients),
                case .applied(let expected) = try plainChain.transform(&plain)
            else {
                Issue.record("skipped")
                continue
            }
            #expect(gradients["w"].count { $0 == 0 } == 4)
            #expect(report.counts.map(\.count) == [4])
            #expect(expected.counts == report.counts)
        }
    }

    @Test func `before an accumulation it repairs each micro-batch`() throws {
        let (spoiled, repaired) = spoiled()
        var gradients = spoiled
        var chain = try Chain(for: layout) {
            ZeroNonFinite()
            Accumulate(steps: 2, reduction: .sum)
        }
        var finite = TensorSet.random(layout, seed: 9)
        let other = finite
        #expect(try !chain.transform(&gradients).isApplied)
        #expect(try chain.transform(&finite).isApplied)
        for name in layout.map(\.name) {
            #expect(finite[name] == zip(repaired[name], other[name]).map { $0 + $1 })
        }
    }

    @Test func `restricted to some parameters, it repairs those, and others still skip`() throws {
        let stage = ZeroNonFinite().only { $0.name.hasPrefix("fc.") }
        let (spoiled, repaired) = spoiled()
        var gradients = spoiled
        let before = gradients.bits
        guard case .skipped(let reason) = try transform(&gradients, [stage]) else {
            Issue.record("applied")
            return
        }
        #expect(reason.parameter == "out.kernel")
        #expect(gradients.bits == before)
        gradients["out.kernel"] = repaired["out.kernel"]
        guard case .applied(let report) = try transform(&gradients, [stage]) else {
            Issue.record("skipped")
            return
        }
        #expect(gradients.bits == repaired.bits)
        #expect(report.counts.map(\.count) == [4])
    }

    @Test func `its count takes no sweep, whether a norm is measured or nothing is`() throws {
        let parameters = TensorSet(zeros: layout)
        let repaired = try Pipeline(for: parameters) {
            ZeroNonFinite()
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
        #expect(repaired.sweepCount == 2)
        #expect(repaired.explain().contains("measure the number of elements that are not finite for ZeroNonFinite"))
        let unchecked = try Pipeline(for: parameters, configuration: .init(nonFinite: .propagate)) {
            ZeroNonFinite()
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(unchecked.sweepCount == 1)
        #expect(unchecked.explain().contains("measure the number of elements that are not finite for ZeroNonFinite"))
    }

    @Test func `it counts behind and before other stages, step after step`() throws {
        for (stages, count): ([any Stage], Int) in [
            ([ZeroNonFinite()], 7), ([Scale(by: 0.5), ZeroNonFinite()], 7),
            ([ZeroNonFinite(), ClipByGlobalNorm(1)], 7),
            ([ClipByValue(1), ZeroNonFinite()], 4), ([Accumulate(steps: 1), ZeroNonFinite()], 7),
            ([ZeroNonFinite(), Accumulate(steps: 1)], 7), ([ZeroNonFinite().only { $0.rank == 1 }], 1),
        ] {
            let backend = SIMDBackend(threads: 2, blockLength: 16, elementsPerThread: 16)
            let configuration = PipelineConfiguration(nonFinite: .propagate)
            var chain = try Chain(for: layout, configuration: configuration, on: backend) { stages }
            for expected in [count, 0, count] {
                var gradients = expected == 0 ? TensorSet.random(layout, seed: 3) : spoiled().gradients
                guard case .applied(let report) = try chain.transform(&gradients) else {
                    Issue.record("not applied by \(stages)")
                    continue
                }
                #expect(report.counts.map(\.count) == [expected], "\(stages)")
            }
        }
    }
}
