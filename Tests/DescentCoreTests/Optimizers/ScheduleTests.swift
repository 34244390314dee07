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
