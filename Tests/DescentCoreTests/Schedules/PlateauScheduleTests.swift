import Descent
import TestSupport
import Testing

@testable import DescentCore

/// Schedules that follow a metric.
@Suite struct PlateauScheduleTests {
    /// The values after each metric.
    private func values(_ schedule: Schedule, _ metrics: [Double]) -> [Double] {
        var schedule = schedule
        return metrics.enumerated().map { index, metric in
            schedule.note(metric: metric, at: index)
            return schedule.unroundedValue(at: index)
        }
    }

    @Test func `it falls after more than so many metrics without progress, as PyTorch's`() {
        let plateau = Schedule.reduceOnPlateau(initial: 1, factor: 0.5, patience: 2)
        #expect(
            values(plateau, [5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3]) == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25])
        // An improvement below the threshold is none.
        let relative = Schedule.reduceOnPlateau(initial: 1, factor: 0.5, patience: 0, threshold: 0.1)
        #expect(values(relative, [10, 9.5, 8.9]) == [1, 0.5, 0.5])
        let absolute = Schedule.reduceOnPlateau(
            initial: 1, factor: 0.5, patience: 0, threshold: 1, thresholdMode: .absolute)
        #expect(values(absolute, [10, 9, 8.9]) == [1, 0.5, 0.5])
    }

    @Test func `a metric that is to become high counts the other way`() {
        let plateau = Schedule.reduceOnPlateau(initial: 1, factor: 0.5, patience: 0, goal: .maximize)
        #expect(values(plateau, [0.5, 0.6, 0.6, 0.7]) == [1, 1, 0.5, 0.5])
    }

    @Test func `metrics of the cooldown do not count, and the minimum holds`() {
        let plateau = Schedule.reduceOnPlateau(initial: 1, factor: 0.1, patience: 0, cooldown: 2, minimum: 0.05)
        #expect(values(plateau, [1, 1, 1, 1, 1, 1, 1, 1]) == [1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
    }

    @Test func `before it has begun, a schedule is told nothing`() {
        let plateau = Schedule.reduceOnPlateau(initial: 1, factor: 0.5, patience: 0).warmedUp(over: 3)
        var schedule = plateau
        for step in 0..<3 { schedule.note(metric: 1, at: step) }
        #expect(schedule.unroundedValue(at: 3) == 1)
        schedule.note(metric: 1, at: 3)
        schedule.note(metric: 1, at: 4)
        #expect(schedule.unroundedValue(at: 4) == 0.5)
        #expect(plateau.followsMetric && plateau.unroundedValue(at: 4) == 1)
    }

    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[2, 2], [2]]) }

    private func makeRates() throws -> ResolvedRates {
        let plateau = Schedule.reduceOnPlateau(initial: 1, factor: 0.5, patience: 0)
        return try ResolvedRates(
            AdamW(
                learningRate: .constant(3).then(plateau, at: 1),
                groups: [.rank(0...1, learningRate: plateau, weightDecay: plateau)]), layout: layout)
    }

    @Test func `rates and decays follow a metric, and go on from what they remembered`() throws {
        var rates = try makeRates()
        #expect(rates.followsMetric)
        for step in 1...2 { try rates.note(metric: 7, appliedSteps: step) }
        #expect(rates.resolve(appliedSteps: 2) == nil)
        #expect(rates.rates.map(\.learningRate) == [0.5, 0.5] && rates.rates[1].weightDecay == 0.5)
        #expect(
            rates.metricStates.keys.sorted() == [
                "learningRate of AdamW", "learningRate of AdamW, group rank 0 to 1",
                "weightDecay of AdamW, group rank 0 to 1",
            ])
        var resumed = try makeRates()
        try resumed.resume(rates.metricStates)
        for metric in [6.0, 6] {
            try rates.note(metric: metric, appliedSteps: 3)
            try resumed.note(metric: metric, appliedSteps: 3)
        }
        rates.resolve(appliedSteps: 3)
        resumed.resolve(appliedSteps: 3)
        #expect(resumed.rates.map(\.learningRate) == [0.25, 0.25])
        #expect(resumed.rates.map(\.learningRate) == rates.rates.map(\.learningRate))
        #expect(resumed.metricStates == rates.metricStates)
    }

    @Test func `changed while training, it goes on, and begins again with another initial value`() throws {
        var parameters = TensorSet(filling: try makeLayout([[2]]), with: 1)
        var pipeline = try Pipeline(for: parameters) {
            SGD(learningRate: .reduceOnPlateau(initial: 0.5, factor: 0.5, patience: 0))
        }
        for metric in [1, 2] as [Double] { try pipeline.note(metric: metric) }
        func rate() throws -> Float? { try pipeline.step(&parameters, gradients: parameters).report?.learningRate }
        #expect(try rate() == 0.25)
        try pipeline.change(SGD.self) { $0.learningRate = .reduceOnPlateau(initial: 0.5, factor: 0.5, patience: 7) }
        #expect(try rate() == 0.25)
        try pipeline.change(SGD.self) { $0.learningRate = .reduceOnPlateau(initial: 0.75, factor: 0.5, patience: 7) }
        #expect(try rate() == 0.75)
    }

    @Test func `a state that is not the schedule's is refused, and changes nothing`() throws {
        var rates = try makeRates()
        let before = rates.metricStates
        for state in [
            MetricState(), MetricState(numbers: [1, 0.5, 0]), MetricState(numbers: [.nan, 0, 0]),
            MetricState(numbers: [1, -1, 0]), MetricState(numbers: [1, 0, 0], parts: [MetricState()]),
        ] {
            let error = #expect(throws: DescentError.self) {
                try rates.resume(["weightDecay of AdamW, group rank 0 to 1": state])
            }
            #expect(error?.code == .stateMismatch)
            #expect(rates.metricStates == before)
        }
        try rates.resume([:])
        #expect(rates.metricStates == before)
    }

    @Test func `a metric that is NaN, or that nothing follows, is an error`() throws {
        var rates = try makeRates()
        let before = rates.metricStates
        #expect(throws: DescentError.self) { try rates.note(metric: .nan, appliedSteps: 1) }
        #expect(rates.metricStates == before)
        var constant = try ResolvedRates(AdamW(), layout: layout)
        #expect(constant.metricStates.isEmpty)
        #expect(throws: DescentError.self) { try constant.note(metric: 1, appliedSteps: 1) }
    }

    @Test func `what is not told metrics refuses it`() throws {
        let error = #expect(throws: DescentError.self) {
            try Chain(for: layout) { ClipByGlobalNorm(.reduceOnPlateau(initial: 1).warmedUp(over: 3)) }
        }
        #expect(error?.code == .invalidSetting)
        #expect(error?.message.contains("maximum follows a metric") == true, "\(error?.message ?? "")")
    }
}
