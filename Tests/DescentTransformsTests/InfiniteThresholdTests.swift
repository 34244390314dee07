import Descent
import TestSupport
import Testing

/// A limit of infinity: what has one is measured, and never clipped.
@Suite struct InfiniteThresholdTests {
    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4, 3], [4], [2, 2]]) }

    static let stages: [(stage: any GradientTransform, norms: Int)] = [
        (ClipByGlobalNorm(.infinity), 1), (ClipByGlobalNorm(.infinity, norm: .lp(3)), 1),
        (ClipByGlobalNorm(.infinity, epsilon: 0), 1), (ClipByNorm(.infinity), 3),
        (ClipLayerwise(default: .infinity), 2), (ClipLayerwise(default: nil, layers: ["layer0": .infinity]), 1),
        (ClipByValue(.infinity), 0), (ClipByValue(-.infinity ... .infinity), 0),
    ]

    @Test(arguments: stages.indices) func `it changes no bit, and reports the norms`(_ index: Int) throws {
        let (stage, count) = Self.stages[index]
        for scale: Float in [1, 0, 1e30, 1e-30] {
            var gradients = TensorSet.random(layout, seed: 1)
            for name in layout.map(\.name) { gradients[name] = gradients[name].map { $0 * scale } }
            let bits = gradients.bits
            var chain = try Chain(for: layout) { stage }
            guard case .applied(let report) = try chain.transform(&gradients) else {
                Issue.record("not applied")
                return
            }
            #expect(gradients.bits == bits)
            #expect(report.norms.count == count)
            #expect(report.norms.allSatisfy { $0.before == $0.after && !$0.isClipped })
            #expect(!report.isClipped)
            #expect(report.norms.allSatisfy { scale == 0 ? $0.before == 0 : $0.before > 0 })
        }
    }

    @Test(arguments: [Float(0)...Float.infinity, -Float.infinity...0.5])
    func `a range with one infinite end limits the other`(_ range: ClosedRange<Float>) throws {
        var gradients = TensorSet.random(layout, seed: 1)
        let expected = gradients.arrays.map { $0.map { min(max($0, range.lowerBound), range.upperBound) } }
        var chain = try Chain(for: layout) { ClipByValue(range) }
        #expect(try chain.transform(&gradients).isApplied)
        #expect(gradients.arrays == expected)
    }

    @Test func `an infinity skips the step, or becomes the limit where it may pass`() throws {
        var gradients = TensorSet(zeros: layout)
        gradients["layer0.bias"] = [.infinity, -.infinity, 1, -3]
        let before = gradients.bits
        var chain = try Chain(for: layout) { ClipByValue(2) }
        #expect(try chain.transform(&gradients).skipReason?.parameter == "layer0.bias")
        #expect(gradients.bits == before)
        var lenient = try Chain(for: layout, configuration: .init(nonFinite: .propagate)) { ClipByValue(2) }
        #expect(try lenient.transform(&gradients).isApplied)
        #expect(gradients["layer0.bias"] == [2, -2, 1, -2])
    }

    @Test func `it can be written down as JSON and read again`() throws {
        let parameters = TensorSet(zeros: layout)
        let pipeline = try Pipeline(for: parameters) {
            ClipByValue(.infinity)
            ClipByGlobalNorm(.infinity)
        } driving: {
            AdamW()
        }
        let text = try pipeline.pipelineDescription.text()
        let again = try Pipeline(for: parameters, PipelineDescription(parsing: text))
        #expect(try again.pipelineDescription.text() == text)
        #expect(text.contains("Infinity"))
    }
}
