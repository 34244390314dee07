import Descent
import DescentCore
import Testing

@Suite struct PipelineSetupTests {
    private func setup(
        _ stages: [any Stage] = [], _ optimizer: any Driving = SGD(learningRate: 1)
    ) -> PipelineSetup {
        PipelineSetup(stages: stages, branches: optimizer.branches, configuration: PipelineConfiguration())
    }

    private func difference(_ first: PipelineSetup, _ second: PipelineSetup) -> String? {
        first.difference(from: second, here: "rank 1", there: "rank 0")
    }

    @Test func `the same stages and optimizer give the same setup`() {
        func make() -> PipelineSetup {
            setup(
                [
                    Accumulate(steps: 2), Unscale(.dynamic()), ClipAdaptively(factor: 0.1),
                    ClipLayerwise(default: 1, layers: ["a": 0.5, "b": 0.25, "c": 2, "d": 3]),
                    Centralize().only(prefix: "a"),
                    ClipByPercentile(10), AddNoise(seed: 1),
                ], AdamW(learningRate: .warmupCosine(peak: 1, warmup: 2, total: 3), groups: [.vectorsWithoutDecay]))
        }
        #expect(make() == make())
        #expect(difference(make(), make()) == nil)
    }

    @Test func `stages that differ are named, and so are settings that names do not tell`() {
        #expect(
            difference(setup([ClipByGlobalNorm(2)]), setup([ClipByGlobalNorm(1)]))
                == "rank 1's ClipByGlobalNorm(2.0) differs from rank 0's ClipByGlobalNorm(1.0)")
        #expect(
            difference(setup([], SGD(learningRate: 1, momentum: 0.8)), setup([], SGD(learningRate: 1, momentum: 0.9)))?
                .contains("momentum = 0.8") == true)
        #expect(
            difference(setup([Centralize()]), setup())?.contains("rank 1's Centralize differs from rank 0's SGD")
                == true)
        #expect(
            difference(setup([AddNoise(seed: 1)]), setup([AddNoise(seed: 2)]))?.contains("seed = 1") == true)
        #expect(
            difference(setup([Unscale(.static(2))]), setup([Unscale(.static(4))])) != nil)
        #expect(
            difference(setup([Centralize().only(prefix: "a")]), setup([Centralize().only(prefix: "b")])) != nil)
    }

    @Test func `one bit of a number makes a difference`() {
        let rates = [0.1, Double(0.1).nextUp].map { setup([], AdamW(learningRate: .constant($0))) }
        #expect(difference(rates[1], rates[0]) != nil)
    }

    @Test func `windows may hold a different number of micro-batches, and closures are not looked into`() {
        #expect(setup([Accumulate(steps: 2)]) == setup([Accumulate(steps: 3)]))
        #expect(setup([Centralize().only { $0.rank > 1 }]) == setup([Centralize().only { $0.rank > 2 }]))
        #expect(setup([Centralize().only { $0.rank > 1 }]) != setup([Centralize().only(prefix: "a")]))
    }

    @Test func `private types are named without their addresses, which are others in every process`() throws {
        let component = PipelineSetup.Component("Hidden", describing: Hidden())
        let module = "DescentCoreTests.PipelineSetupTests"
        #expect(component.settings == ["first = a \(module).Hidden.Inner", "second = \(module).Hidden.Empty"])
    }

    private struct Hidden {
        private final class Inner {}
        private struct Empty {}

        private let first = Inner()
        private let second = Empty()
    }
}
