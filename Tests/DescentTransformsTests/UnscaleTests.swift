import Descent
import TestSupport
import Testing

/// The loss scale: when it changes and what it does.
@Suite struct UnscaleTests {
    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[2, 2]]) }

    /// The loss scale after each of several steps, of which some overflow.
    private func scales(_ scale: LossScale, overflows: [Bool], steps: Int = 1) throws -> [Float] {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: steps)
            Unscale(scale)
        } driving: {
            SGD(learningRate: 0.1)
        }
        return try overflows.map { overflows in
            var gradients = TensorSet.random(layout, seed: 1)
            if overflows { gradients["layer0.weight"][3] = .infinity }
            _ = try pipeline.step(&parameters, gradients: gradients)
            return pipeline.lossScale
        }
    }

    @Test func `grows after an interval of applied steps in a row and backs off at once`() throws {
        let scale = LossScale.dynamic(initial: 16, growthInterval: 2)
        #expect(
            try scales(scale, overflows: [false, false, false, true, false, false, true, true])
                == [16, 32, 32, 16, 16, 32, 16, 8])
    }

    @Test func `stays within its minimum and its maximum`() throws {
        let scale = LossScale.dynamic(
            initial: 8, growthFactor: 4, backoffFactor: 0.25, growthInterval: 1, minimum: 4, maximum: 16)
        #expect(try scales(scale, overflows: [false, false, true, false]) == [16, 16, 4, 16])
    }

    @Test func `a further overflow at the minimum throws and changes nothing`() throws {
        var parameters = TensorSet.random(layout, seed: 9)
        let before = parameters.bits
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 2, minimum: 1))
        } driving: {
            AdamW()
        }
        var gradients = TensorSet(zeros: layout)
        gradients["layer0.weight"][0] = .nan
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied == false)
        let error = #expect(throws: DescentError.self) { try pipeline.step(&parameters, gradients: gradients) }
        #expect(error?.code == .lossScaleExhausted)
        #expect(error?.parameter == "layer0.weight")
        #expect(parameters.bits == before)
        #expect(pipeline.lossScale == 1)
    }

    @Test func `hysteresis asks for several overflows before one backoff`() throws {
        let scale = LossScale.dynamic(initial: 16, growthInterval: 100, hysteresis: 2)
        #expect(try scales(scale, overflows: [true, false, true, true, true]) == [16, 16, 8, 8, 4])
    }

    @Test func `does not change inside a window`() throws {
        let scale = LossScale.dynamic(initial: 16, growthInterval: 1)
        #expect(
            try scales(scale, overflows: [false, false, true, false, false, false], steps: 2) == [
                16, 32, 32, 16, 16, 32,
            ])
    }

    @Test func `a static scale never changes`() throws {
        #expect(try scales(.static(128), overflows: [true, false, true]) == [128, 128, 128])
    }

    @Test func `gradients are divided by the scale they were made with, on the step that grows it too`() throws {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 16, growthInterval: 1))
        } driving: {
            SGD(learningRate: 1)
        }
        for step in 1...4 {
            var gradients = TensorSet(zeros: layout)
            gradients["layer0.weight"][0] = pipeline.lossScale
            #expect(try pipeline.step(&parameters, gradients: gradients, lossScale: pipeline.lossScale).isApplied)
            #expect(parameters["layer0.weight"][0] == -Float(step))
        }
    }

    @Test func `a veto for another reason than overflow leaves the scale alone`() throws {
        struct Veto: GradientScaling {
            mutating func prepare(_ step: inout StepPreparation) { step.veto("not today") }
        }
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale()
            Veto()
        } driving: {
            AdamW()
        }
        guard case .skipped(let reason) = try pipeline.step(&parameters, gradients: parameters) else {
            Issue.record("applied")
            return
        }
        #expect(reason.code == .vetoed)
        #expect(reason.stage == "Veto")
        #expect(reason.description.contains("not today"))
        #expect(pipeline.lossScale == 65_536)
    }
}
