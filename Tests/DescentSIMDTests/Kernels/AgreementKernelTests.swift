import DescentCore
import Testing

@testable import DescentSIMD

/// Kernels of two operands that stages and measurements use, against plain loops, bit for bit.
@Suite struct AgreementKernelTests {
    private let reference = ReferenceArithmetic()

    /// Calls a closure with a gradient of each form, what its elements are, and as many other numbers.
    private func forEachGradient(
        isCentered: [Bool], _ body: (PendingGradient, [Float], UnsafeMutablePointer<Float>, Int) -> Void
    ) {
        for (count, special) in KernelTests.counts.flatMap({ [($0, false), ($0, true)] }) {
            let (rows, columns) = count % 3 == 0 ? (3, count / 3) : (1, count)
            let means = KernelFloats(rows, seed: 2)
            let source = KernelFloats(count, seed: 5, misaligned: 3, special: special)
            let others = KernelFloats(count, seed: 6, misaligned: 1, special: special)
            defer { for floats in [means, source, others] { floats.deallocate() } }
            // Many that are the same, of either sign, and 0.
            for index in stride(from: 0, to: count, by: 3) { others.start[index] = source.start[index] }
            for index in stride(from: 1, to: count, by: 7) { others.start[index] = index % 2 == 0 ? 0 : -0.0 }
            for (factor, isCentered) in [1 as Float, -0.37].flatMap({ factor in isCentered.map { (factor, $0) } }) {
                let gradient = PendingGradient(
                    source: source.start, .float32, rows: rows, columns: columns, factor: factor,
                    means: isCentered ? UnsafePointer(means.start) : nil)
                var elements = [Float](repeating: 0, count: count)
                reference.materialize(gradient, into: &elements)
                body(gradient, elements, others.start, count)
            }
        }
    }

    @Test(arguments: KernelTests.levels) func `elements agree if their product in Double is above 0`(
        _ level: InstructionSet
    ) {
        let kernels = Kernels(level)
        forEachGradient(isCentered: [false, true]) { gradient, elements, update, count in
            let agrees = elements.indices.map { Double(elements[$0]) * Double(update[$0]) > 0 }
            #expect(kernels.agreeingCount(gradient, update) == agrees.count { $0 }, "\(count) elements")
            let expected = elements.indices.map { update[$0] * (agrees[$0] ? 1.7 : 0) }
            kernels.scaleAgreeing(gradient, update, by: 1.7)
            let isSame = expected.indices.allSatisfy {
                expected[$0].bitPattern == update[$0].bitPattern || expected[$0].isNaN && update[$0].isNaN
            }
            #expect(isSame, "\(count) elements")
        }
    }

    @Test(arguments: KernelTests.levels) func `squares behind weight decay are added as those of elements are`(
        _ level: InstructionSet
    ) {
        let kernels = Kernels(level)
        forEachGradient(isCentered: [false]) { gradient, elements, parameters, count in
            for decay: Float in [0.1, -3] {
                let decayed = elements.indices.map { elements[$0] + decay * parameters[$0] }
                let squares = reference.sumOfSquares(decayed, count: count, minus: 0)
                let isMeasured = squares.isFinite && squares >= 0x1p-100 * Double(count)
                let norm = kernels.decayedNorm(gradient, parameters, decay)
                #expect(norm == (isMeasured ? squares.squareRoot() : nil), "\(count) elements")
            }
        }
    }
}
