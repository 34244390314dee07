import DescentCore
import TestSupport
import Testing

@testable import DescentSIMD

/// What a sweep keeps of rows for the next: when it is used, and when it is not.
@Suite struct KeptRowsTests {
    private let layout: ParameterLayout
    private let parameters: TensorSet
    private let gradients: TensorSet
    /// The same with every row four times as long.
    private let longer: TensorSet
    private let backend = SIMDBackend(threads: 2, blockLength: 300, elementsPerThread: 1)

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("first", shape: [40, 32]), ParameterDescription("vector", shape: [30]),
            ParameterDescription("second", shape: [7, 90]),
        ])
        (parameters, gradients) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 2))
        var longer = gradients
        for name in layout.map(\.name) { longer[name] = gradients[name].map { 4 * $0 } }
        self.longer = longer
    }

    /// Sweeps of one workspace, each with its gradients and their version, and what is done to their blocks.
    private func result(
        of sweeps: [(gradients: TensorSet, version: Int?)], slots: [TensorSet] = [],
        _ body: @Sendable (inout SIMDBlock, Int) -> Void
    ) -> TensorSet {
        let blocks = backend.blocks(of: layout)
        let workspace = backend.makeWorkspace(for: layout, blocks: blocks)
        let output = TensorSet(zeros: layout)
        for (number, sweep) in sweeps.enumerated() {
            let sweep = Sweep(
                gradients: sweep.gradients, parameters: parameters, output: output, slots: slots,
                gradientVersion: sweep.version, blocks: blocks)
            backend.run(sweep, in: workspace) { block, _ in
                block.slotAccess.readsParameters = true
                body(&block, number)
                block.store()
            }
        }
        return output
    }

    @Sendable private static func clip(_ block: inout SIMDBlock, _ factor: Float = 0.5) {
        block.clipRows(factor: factor, minimumNorm: 1e-3, epsilon: 1e-6)
    }

    @Test func `factors of rows are those of the first sweep over gradients of the same version`() {
        let factors = result(of: [(longer, nil)]) { block, _ in Self.clip(&block) }
        let kept = result(of: [(gradients, 1), (longer, 1)]) { block, _ in Self.clip(&block) }
        // Clipped as if rows were shorter, and so not enough.
        #expect(kept["first"] != factors["first"])
        #expect(zip(kept["second"], factors["second"]).allSatisfy { $0.magnitude >= $1.magnitude })
        let other = result(of: [(gradients, 1), (longer, 2)]) { block, _ in Self.clip(&block) }
        #expect(other.arrays == factors.arrays)
    }

    @Test func `means of rows are those of the first sweep over gradients of the same version`() {
        let centered = result(of: [(longer, nil)]) { block, _ in block.subtractRowMeans() }
        let kept = result(of: [(gradients, 1), (longer, 1)]) { block, _ in block.subtractRowMeans() }
        #expect(kept["first"] != centered["first"])
        #expect(kept["vector"] == centered["vector"])
        let other = result(of: [(gradients, 1), (longer, 2)]) { block, _ in block.subtractRowMeans() }
        #expect(other.arrays == centered.arrays)
    }

    @Test func `factors are made anew where another clip is asked for, or something else is done before it`() {
        let fresh = result(of: [(gradients, nil)]) { block, _ in
            block.scale(by: Float(3))
            Self.clip(&block)
        }
        let otherFactor = result(of: [(gradients, 1), (gradients, 1)]) { block, sweep in
            block.scale(by: Float(3))
            Self.clip(&block, sweep == 0 ? 0.25 : 0.5)
        }
        #expect(otherFactor.arrays == fresh.arrays)
        let otherScale = result(of: [(gradients, 1), (gradients, 1)]) { block, sweep in
            block.scale(by: Float(sweep == 0 ? 2 : 3))
            Self.clip(&block)
        }
        #expect(otherScale.arrays == fresh.arrays)
        let otherCenter = result(of: [(gradients, 1), (gradients, 1)]) { block, sweep in
            if sweep == 0 { block.subtractRowMeans() }
            block.scale(by: Float(3))
            Self.clip(&block)
        }
        #expect(otherCenter.arrays == fresh.arrays)
    }

    @Test func `rows of a micro-batch are forgotten where its window's sum is written`() {
        @Sendable func work(_ block: inout SIMDBlock, isLast: Bool) {
            block.subtractRowMeans()
            Self.clip(&block)
            if !isLast { block.accumulate(onto: 0, into: 0, factor: 1) }
        }
        var sum = longer
        sum.makeUnique()
        let kept = result(of: [(gradients, 1), (sum, 1)], slots: [sum]) { block, sweep in
            work(&block, isLast: sweep == 1)
        }
        let fresh = result(of: [(sum, nil)]) { block, _ in work(&block, isLast: true) }
        #expect(kept.arrays == fresh.arrays)
        #expect(sum["first"] != longer["first"])
    }
}
