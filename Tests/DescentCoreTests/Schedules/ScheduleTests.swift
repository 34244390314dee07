import Descent
import DescentCore
import Foundation
import TestSupport
import Testing

/// Schedules, parameter groups, and the mathematics under them.
@Suite struct ScheduleTests {
    @Test func `elementary functions agree with the C library to a few units in the last place`() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            let x = Double.random(in: 0...1, using: &generator)
            #expect(abs(ReproducibleMath.cosine(halfTurns: x) - cos(.pi * x)) < 1e-15)
            let base = exp(Double.random(in: -300...300, using: &generator))
            #expect(abs(ReproducibleMath.logarithmBase2(base) - log2(base)) <= 1e-15 * max(1, abs(log2(base))))
            let exponent = Double.random(in: -1...1, using: &generator)
            let power = pow(base, exponent)
            #expect(abs(ReproducibleMath.power(base, exponent) / power - 1) < 1e-13)
        }
        #expect(ReproducibleMath.power(0.999, 1000) == ReproducibleMath.power(0.999, 1000))
        #expect(abs(ReproducibleMath.power(0.999, 1000) / pow(0.999, 1000.0) - 1) < 1e-13)
        #expect(ReproducibleMath.exponentialBase2(-1074) == .leastNonzeroMagnitude)
        #expect(ReproducibleMath.exponentialBase2(1024) == .infinity)
    }

    @Test func `warm-up rises in a line, the cosine falls, and the end stays`() {
        let schedule = Schedule.warmupCosine(peak: 2, warmup: 4, total: 12, initial: 1, end: 0.5)
        #expect((0...4).map { schedule.value(at: $0) } == [1, 1.25, 1.5, 1.75, 2])
        #expect(abs(schedule.value(at: 8) - 1.25) < 1e-6)
        #expect(schedule.value(at: 12) == 0.5)
        #expect(schedule.value(at: 1_000_000) == 0.5)
    }

    @Test func `the exponential schedule multiplies by its rate every transition`() {
        let schedule = Schedule.exponential(initial: 0.1, rate: 0.5, transitionSteps: 10)
        #expect(schedule.value(at: 0) == 0.1)
        #expect(abs(schedule.value(at: 10) - 0.05) < 1e-8)
        #expect(abs(schedule.value(at: 5) - 0.1 * Float(0.5).squareRoot()) < 1e-8)
    }

    @Test func `a number of any type is a schedule that stays`() {
        let numbers: [any ScheduleConvertible] = [3, Float(3), 3.0, Schedule.constant(3)]
        for number in numbers {
            #expect(number.schedule.constant == 3)
            #expect(number.schedule.value(at: 0) == 3 && number.schedule.value(at: 1_000_000) == 3)
        }
        #expect("\(Float(0.1).schedule) \(0.1.schedule) \(Schedule.infinity)" == "0.1 0.1 inf")
    }

    @Test func `schedules have the ends that they are given, and keep the last`() {
        let schedules: [(Schedule, first: Double, steps: Int, last: Double)] = [
            (.linear(initial: 0.1, end: 0.01, transitionSteps: 9), 0.1, 9, 0.01),
            (.polynomial(initial: 0.1, end: 0.01, power: 2, transitionSteps: 9), 0.1, 9, 0.01),
            (.cosine(initial: 0.1, end: 0.01, decaySteps: 9), 0.1, 9, 0.01),
            (.cosineOneCycle(peak: 0.1, transitionSteps: 9), 0.004, 9, 4e-7),
            (.linearOneCycle(peak: 0.1, transitionSteps: 9), 0.004, 9, 4e-7),
            (.linear(initial: 0, end: 1, transitionSteps: 1), 0, 1, 1),
            // Pieces of no steps.
            (.cosineOneCycle(peak: 0.1, transitionSteps: 2, warmupShare: 0), 0.1, 2, 4e-7),
            (.linearOneCycle(peak: 0.1, transitionSteps: 1, warmupShare: 1, finalShare: 1), 0.004, 1, 4e-7),
        ]
        for (schedule, first, steps, last) in schedules {
            #expect(abs(schedule.unroundedValue(at: 0) - first) < 1e-15, "\(schedule)")
            for step in [steps, steps + 1, 1_000_000, .max] {
                #expect(abs(schedule.unroundedValue(at: step) - last) < 1e-15, "\(schedule)")
            }
        }
    }

    @Test func `periods that grow end at the largest count there is`() {
        let schedule = Schedule.cosineWithWarmRestarts(initial: 1, firstPeriod: 3, periodFactor: 2)
        #expect([0, 3, 9, 21].allSatisfy { schedule.value(at: $0) == 1 })
        #expect((0...1).contains(schedule.value(at: .max)))
    }

    private static let refused: [(schedule: Schedule, reason: String)] = [
        (.constant(-1), "learningRate is -1.0"), (.constant(.nan), "learningRate is nan"),
        (.linear(initial: 0.1, end: -0.1, transitionSteps: 3), "end in the schedule of learningRate is -0.1"),
        (.linear(initial: 0.1, transitionSteps: 0), "transitionSteps is 0"),
        (.polynomial(initial: 0.1, power: 0, transitionSteps: 3), "power is 0.0"),
        (.cosine(initial: .infinity, decaySteps: 3), "initial in the schedule of learningRate is inf"),
        (.cosine(initial: 0.1, decaySteps: -1), "decaySteps is -1"),
        (.cosineWithWarmRestarts(initial: 1, firstPeriod: 0), "firstPeriod is 0"),
        (.cosineWithWarmRestarts(initial: 1, firstPeriod: 1, periodFactor: 0), "periodFactor is 0"),
        (.cosineOneCycle(peak: 1, transitionSteps: 9, warmupShare: 1.5), "warmupShare is 1.5"),
        (.cosineOneCycle(peak: 1, transitionSteps: 9, initialDivisor: 0), "initialDivisor is 0.0"),
        (.linearOneCycle(peak: 1, transitionSteps: 9, finalShare: 0.1), "finalShare is 0.1"),
        (.piecewiseConstant(initial: 1, boundaries: [-1: 0.5]), "a boundary is -1"),
        (.piecewiseConstant(initial: 1, boundaries: [4: -0.5]), "the factor at boundary 4 is -0.5"),
        (.stepDecay(initial: 1, factor: 0.5, everySteps: 0), "everySteps is 0"),
        (.stepDecay(initial: 1, factor: .nan, everySteps: 1), "factor is nan"),
        (.inverseSquareRoot(peak: 1, warmup: 0), "warmup is 0"),
        (.constant(1).then(2, at: 0), "joined at 0"), (.constant(1).then(2, at: 5).then(3, at: 5), "joined at 5, 5"),
        (.constant(1).then(-2, at: 3), "learningRate is -2.0"),
        (.constant(1).warmedUp(over: 0), "warmup is 0"),
        (.constant(1).warmedUp(over: 3, from: -1), "initial in the schedule of learningRate is -1.0"),
        (.reduceOnPlateau(initial: 1, factor: 1), "factor is 1.0"),
        (.reduceOnPlateau(initial: 1, patience: -1), "patience is -1"),
        (.reduceOnPlateau(initial: 1, minimum: 2), "minimum is 2.0"),
    ]

    @Test(arguments: refused.indices) func `settings out of range are refused when a pipeline is built`(
        _ index: Int
    ) throws {
        let (schedule, reason) = Self.refused[index]
        let parameters = TensorSet(zeros: try makeLayout([[2]]))
        let error = #expect(throws: DescentError.self) {
            try Pipeline(for: parameters) {
            } driving: {
                SGD(learningRate: schedule)
            }
        }
        #expect(error?.code == .invalidSetting && error?.stage?.hasPrefix("SGD") == true)
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }

    /// A rule of another package's.
    private struct Sawtooth: ScheduleRule {
        var peak: Double
        var period: Int
        var extremes: KeyValuePairs<String, Double> { ["peak": peak] }
        var description: String { "\(peak), falling every \(period) steps" }
        func value(at step: Int) -> Double { peak * Double(period - step % period) / Double(period) }
    }

    @Test func `a rule of one's own is held against the range of what it is used for`() throws {
        let schedule = Schedule(Sawtooth(peak: 2, period: 4))
        #expect((0...4).map { schedule.value(at: $0) } == [2, 1.5, 1, 0.5, 2])
        #expect("\(schedule)" == "2.0, falling every 4 steps")
        try schedule.validate("maximum", of: "Clip", in: .threshold)
        let error = #expect(throws: DescentError.self) { try schedule.validate("beta", of: "Adam", in: .decay) }
        #expect(error?.message == "Adam: peak in the schedule of beta is 2.0; it has to lie in 0..<1.")
    }

    @Test func `groups give parameters their own learning rate and decay, the later one first`() throws {
        let layout = try ParameterLayout([
            ParameterDescription("body.weight", shape: [1, 1]), ParameterDescription("body.bias", shape: [1]),
            ParameterDescription("head.weight", shape: [1, 1]), ParameterDescription("head.bias", shape: [1]),
        ])
        var parameters = TensorSet(zeros: layout)
        for parameter in layout { parameters[parameter.name] = [1] }
        var gradients = parameters
        for parameter in layout { gradients[parameter.name] = [0] }
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(
                learningRate: 0.1, weightDecay: 0.5,
                groups: [.vectorsWithoutDecay, .named(prefix: "head.", learningRate: 0.2, weightDecay: 0.25)])
        }
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        #expect(parameters["body.weight"] == [1 - 0.1 * 0.5])
        #expect(parameters["body.bias"] == [1])
        #expect(parameters["head.weight"] == [1 - 0.2 * 0.25])
        #expect(parameters["head.bias"] == [1 - 0.2 * 0.25])
    }
}
