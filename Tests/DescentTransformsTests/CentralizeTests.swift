import Descent
import TestSupport
import Testing

/// Wants to be told of a norm, and changes nothing: stages behind it work on in the sweep that measures it.
private struct Watch: GradientTransform {
    var observations: [Requirement] { [.norm(.l2)] }

    func transform(_ block: inout some GradientBlock) {}
}

/// Row means that are taken out more than once, of gradients that are not the same any more.
@Suite struct CentralizeTests {
    /// Seven rows of fifteen elements, along either axis.
    private func makeLayout(_ axis: OutputAxis) throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("w", shape: axis == .first ? [7, 3, 5] : [3, 5, 7], outputAxis: axis)
        ])
    }

    private func rows(_ tensors: TensorSet) -> [[Double]] {
        let parameter = tensors.layout[0]
        let values = tensors["w"].map { Double($0) }
        return (0..<7).map { row in
            (0..<15).map { values[parameter.outputAxis == .first ? row * 15 + $0 : $0 * 7 + row] }
        }
    }

    private func centered(_ rows: [[Double]]) -> [[Double]] {
        rows.map { row in row.map { $0 - row.reduce(0, +) / 15 } }
    }

    private func norm(_ rows: [[Double]]) -> Double { rows.joined().reduce(0) { $0 + $1 * $1 }.squareRoot() }

    @Test(arguments: [OutputAxis.first, .last], [[], [ClipByValue(0.5)]] as [[any Stage]])
    func `a window is centered by its own means, although each micro-batch was by its`(
        _ axis: OutputAxis, _ between: [any Stage]
    ) throws {
        let layout = try makeLayout(axis)
        let microbatches = (1...3).map { TensorSet.random(layout, seed: $0) }
        // What a stage between them leaves of each micro-batch has means again.
        let clipped = microbatches.map { microbatch in
            centered(rows(microbatch)).map { $0.map { between.isEmpty ? $0 : min(max($0, -0.5), 0.5) } }
        }
        let mean = (0..<7).map { row in (0..<15).map { index in clipped.reduce(0) { $0 + $1[row][index] } / 3 } }
        for measuring: [any Stage] in [[], [ClipByGlobalNorm(1000)], [Squash()]] {
            var chain = try Chain(for: layout, on: SIMDBackend(threads: 1, blockLength: 40)) {
                Centralize()
                between
                Accumulate(steps: 3)
                measuring
                Centralize()
            }
            var gradients = microbatches[0]
            for microbatch in microbatches {
                gradients = microbatch
                _ = try chain.transform(&gradients)
            }
            #expect(chain.appliedSteps == 1)
            let squashed = mean.map { $0.map { measuring.first is Squash ? $0 / (1 + abs($0)) : $0 } }
            let found = rows(gradients).joined().map { Float($0) }
            #expect(largestDifference(found, centered(squashed).joined()) < 1e-6)
        }
    }

    @Test(arguments: [OutputAxis.first, .last]) func `a norm measured between two means tells the truth of both`(
        _ axis: OutputAxis
    ) throws {
        let layout = try makeLayout(axis)
        var gradients = TensorSet.random(layout, seed: 3)
        var chain = try Chain(for: layout, on: SIMDBackend(threads: 1, blockLength: 40)) {
            ClipByValue(2)
            Centralize()
            Watch()
            ClipByValue(-1...0.25)
            Centralize()
            ClipByGlobalNorm(1000)
        }
        guard case .applied(let report) = try chain.transform(&gradients) else {
            Issue.record("skipped")
            return
        }
        let result = rows(gradients)
        for row in result { #expect(abs(row.reduce(0, +)) < 1e-5) }
        #expect(abs(Double(try #require(report.gradientNorm)) - norm(result)) < 1e-5)
    }
}
