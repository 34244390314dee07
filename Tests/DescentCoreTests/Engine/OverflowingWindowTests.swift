import Descent
import DescentCore
import Testing

/// Windows in which some micro-batches are not finite.
@Suite struct OverflowingWindowTests {
    let layout: ParameterLayout

    init() throws { layout = try ParameterLayout([ParameterDescription("w", shape: [4])]) }

    private func gradients(_ value: Float) -> TensorSet {
        var tensors = TensorSet(zeros: layout)
        tensors["w"] = [value, 1, 1, 1]
        return tensors
    }

    private func makePipeline(
        _ scale: LossScale, steps: Int = 2, accumulating accumulation: Accumulate.NonFinite = .dropMicroBatch,
        nonFinite: NonFinitePolicy = .skip
    ) throws -> Pipeline {
        try Pipeline(for: gradients(1), configuration: .init(nonFinite: nonFinite)) {
            Accumulate(steps: steps, reduction: .weighted, nonFinite: accumulation)
            Unscale(scale)
        } driving: {
            SGD(learningRate: 0.1)
        }
    }

    @Test(arguments: [Accumulate.NonFinite.dropMicroBatch, .skipWindow])
    func `windows that overflow back the loss scale off, once each`(_ accumulation: Accumulate.NonFinite) throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(.dynamic(initial: 1_024), accumulating: accumulation)
        for window in 1...3 {
            for _ in 0..<2 { _ = try pipeline.step(&parameters, gradients: gradients(.infinity)) }
            #expect(pipeline.lossScale == 1_024 / Float(1 << window))
        }
        #expect(pipeline.skippedSteps == 3)
    }

    @Test func `a window of which a part overflowed backs off, and does not grow`() throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(.dynamic(initial: 1_024, growthInterval: 1))
        _ = try pipeline.step(&parameters, gradients: gradients(.infinity))
        #expect(try pipeline.step(&parameters, gradients: gradients(1)).isApplied)
        #expect(pipeline.lossScale == 512)
    }

    @Test func `a part that overflows at the minimum does not undo the step that was applied`() throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(.dynamic(initial: 1))
        _ = try pipeline.step(&parameters, gradients: gradients(.infinity))
        #expect(try pipeline.step(&parameters, gradients: gradients(1)).isApplied)
        _ = try pipeline.step(&parameters, gradients: gradients(.infinity))
        let error = #expect(throws: DescentError.self) {
            _ = try pipeline.step(&parameters, gradients: gradients(.infinity))
        }
        #expect(error?.code == .lossScaleExhausted)
    }

    @Test func `a shared loss scale backs off for a part that was left out`() throws {
        let scale = try SharedLossScale(.dynamic(initial: 64, growthInterval: 1))
        var parameters = gradients(1)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2, nonFinite: .dropMicroBatch)
            Unscale(scale)
        } driving: {
            SGD(learningRate: 0.1)
        }
        _ = try pipeline.step(&parameters, gradients: gradients(.nan))
        #expect(try pipeline.step(&parameters, gradients: gradients(1)).isApplied)
        try scale.update()
        #expect(scale.scale == 32)
    }

    @Test func `windows of which nothing is left count towards the limit`() throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(.static(2), nonFinite: .skipAtMost(2))
        for _ in 0..<5 { _ = try pipeline.step(&parameters, gradients: gradients(.infinity)) }
        let error = #expect(throws: DescentError.self) {
            _ = try pipeline.step(&parameters, gradients: gradients(.infinity))
        }
        #expect(error?.code == .tooManySkips)
    }

    @Test func `the weight of a micro-batch that is left out leaves no trace`() throws {
        var parameters = gradients(1)
        var expected = parameters
        var pipeline = try makePipeline(.static(1))
        var plain = try makePipeline(.static(1), steps: 1)
        _ = try pipeline.step(&parameters, gradients: gradients(3), weight: 1e-3)
        #expect(try pipeline.step(&parameters, gradients: gradients(.infinity), weight: 1e15).isApplied)
        #expect(try plain.step(&expected, gradients: gradients(3), weight: 1e-3).isApplied)
        for (value, other) in zip(parameters["w"], expected["w"]) { #expect((value - other).magnitude < 1e-6) }
    }

    @Test(arguments: [false, true]) func `the micro-batch that spoils a window is named when it arrives`(
        _ streams: Bool
    ) throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(.static(1), steps: 4, accumulating: .skipWindow)
        for micro in 1...4 {
            let fed = gradients(micro == 2 ? .nan : 1)
            if streams { try pipeline.receive(fed, of: 0) }
            let outcome = streams ? try pipeline.step(&parameters) : try pipeline.step(&parameters, gradients: fed)
            switch outcome {
            case .accumulated(let progress):
                #expect(progress.received == micro)
                #expect((progress.rejection == nil) == (micro == 1))
                if micro >= 2 { #expect(progress.rejection?.microBatch == 2) }
            case .skipped(let reason):
                #expect(micro == 4)
                #expect(reason.microBatch == 2)
                #expect(reason.parameter == "w")
                #expect(reason.description.contains("micro-batch 2 of 4"))
            case .applied, .diverged: Issue.record("applied")
            }
        }
    }

    @Test func `the last micro-batch is named too`() throws {
        var parameters = gradients(1)
        var pipeline = try makePipeline(.static(1), accumulating: .skipWindow)
        _ = try pipeline.step(&parameters, gradients: gradients(1))
        let reason = try pipeline.step(&parameters, gradients: gradients(.nan)).skipReason
        #expect(reason?.microBatch == 2)
        #expect(reason?.description.contains("1 NaN") == true)
    }
}
