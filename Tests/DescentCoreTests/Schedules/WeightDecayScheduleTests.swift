import Descent
import TestSupport
import Testing

@testable import DescentCore

/// Weight decay that changes over time.
@Suite struct WeightDecayScheduleTests {
    /// Plain descent whose decay is a schedule.
    private struct Descend: Optimizer {
        var learningRate: Schedule = 0.5
        var weightDecay: Schedule
        var groups: [ParameterGroup] = []
        func update(_ block: inout some UpdateBlock) {
            let rates = block.rates
            block.updateEach { gradient, parameter in
                parameter -= rates.learningRate * (gradient + rates.weightDecay * parameter)
            }
        }
    }

    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[1, 1], [1]]) }

    @Test func `it is looked up in each applied step, for the optimizer and for groups`() throws {
        var parameters = TensorSet(zeros: layout)
        for parameter in layout { parameters[parameter.name] = [1] }
        let zeros = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            Descend(
                weightDecay: .linear(initial: 1, end: 0, transitionSteps: 2),
                groups: [.rank(0...1, weightDecay: .piecewiseConstant(initial: 0.5, boundaries: [1: 2]))])
        }
        _ = try pipeline.step(&parameters, gradients: zeros)
        #expect(parameters.arrays == [[0.5], [0.75]])
        _ = try pipeline.step(&parameters, gradients: zeros)
        #expect(parameters.arrays == [[0.375], [0.375]])
        _ = try pipeline.step(&parameters, gradients: zeros)
        #expect(parameters.arrays == [[0.375], [0.1875]])
    }

    @Test(arguments: [-1, Double.nan, .infinity]) func `one out of range skips the step and is named`(
        _ decay: Double
    ) throws {
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters.bits
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            Descend(
                weightDecay: 0, groups: [.named(prefix: "layer0", weightDecay: Schedule.custom("wild") { _ in decay })])
        }
        let reason = try #require(try pipeline.step(&parameters, gradients: parameters).skipReason)
        #expect(reason.code == .nonFiniteSetting)
        #expect(
            reason.description
                == "the weight decay of Descend, group named layer0* is \(Float(decay)) after 0 applied steps")
        #expect(parameters.bits == before && pipeline.appliedSteps == 0)
    }

    @Test func `one that is known to leave its range is refused`() throws {
        let error = #expect(throws: DescentError.self) {
            try ResolvedRates(
                Descend(weightDecay: .linear(initial: 0.1, end: -0.1, transitionSteps: 5)), layout: layout)
        }
        #expect(
            error?.message
                == "Descend: end in the schedule of weightDecay is -0.1; it has to be a finite number of at least 0.")
    }

    @Test func `a number of any type is taken by groups`() throws {
        let (float, double, integer): (Float, Double, Int) = (0.5, 0.25, 1)
        let groups: [ParameterGroup] = [
            .named(prefix: "a", weightDecay: float), .rank(0...1, weightDecay: double),
            .named(prefixes: ["a", "b"], weightDecay: integer), ParameterGroup("all", weightDecay: float) { _ in true },
            .rank(0...1, learningRate: 0.5),
        ]
        #expect(groups.map { $0.weightDecay?.constant } == [0.5, 0.25, 1, 0.5, nil])
    }
}
