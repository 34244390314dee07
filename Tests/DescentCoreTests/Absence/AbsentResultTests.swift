import Descent
import DescentCore
import TestSupport
import Testing

/// Chains that write to other memory, with gradients of which some are absent.
@Suite struct AbsentResultTests {
    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4, 3], [4], [3, 4], [3]]) }

    /// Keeps half of what it has seen, and passes it on.
    struct Trace: GradientTransform {
        var slots: [Slot] { ["trace"] }
        func transform(_ block: inout some GradientBlock) {
            block.withElementsAndSlot { elements, trace in
                for index in elements.indices {
                    trace[index] = 0.5 * trace[index] + elements[index]
                    elements[index] = trace[index]
                }
            }
        }
    }

    @Test(arguments: [MissingGradients.zero, .skipParameter], [false, true])
    func `what is absent counts as zeros, or leaves its result as it was`(
        _ missing: MissingGradients, _ freezes: Bool
    ) throws {
        func make() throws -> Chain {
            try Chain(
                for: layout, configuration: PipelineConfiguration(missing: missing), on: SIMDBackend(threads: 2)
            ) {
                if freezes { Freeze(prefix: "layer1.") }
                Trace()
                ClipByGlobalNorm(1)
            }
        }
        var (chain, plain) = (try make(), try make())
        for seed in 0..<6 as Range<UInt64> {
            let all = TensorSet.random(layout, seed: seed)
            let absent = seed.isMultiple(of: 2) ? ["layer0.bias", "layer1.weight"] : []
            let gradients = StridedTensors(all, seed: seed)
            let results = StridedTensors(TensorSet.random(layout, seed: 70 + seed), seed: seed + 1)
            let before = results.set
            let outcome = try chain.transform(
                unsafeGradients: gradients.tensors.filter { !absent.contains($0.name) }, into: results.tensors)
            #expect(outcome.isApplied)
            var expected = all
            for name in absent { expected[name] = expected[name].map { _ in 0 } }
            if missing == .zero {
                _ = try plain.transform(&expected)
                // There is nothing of a frozen parameter's gradient to copy.
                if freezes, !absent.isEmpty { expected["layer1.weight"] = before["layer1.weight"] }
                #expect(results.set == expected)
            } else {
                for name in absent { #expect(results.set[name] == before[name]) }
                for parameter in layout where !absent.contains(parameter.name) {
                    #expect(results.set[parameter.name] != before[parameter.name])
                }
            }
            #expect(gradients.set == all && results.gapsAreUntouched)
        }
    }
}
