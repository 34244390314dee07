import Descent
import DescentCore
import Foundation
import TestSupport
import Testing

/// Formulas in Double, where no golden has the setting.
@Suite struct FormulaTests {
    /// One parameter in Double, with what an optimizer keeps of it.
    private struct Element {
        var parameter: Double
        var first = 0.0
        var second = 0.0
        var third = 0.0

        init(_ parameter: Float) { self.parameter = Double(parameter) }
    }

    /// Trains, and compares each step with a formula for an element, which is told the step from 1.
    private func compare(
        _ optimizer: any Optimizer, steps: Int = 8, gradientScale: Float = 1, tolerance: Double = 2e-6,
        _ formula: (_ step: Int, _ gradient: Double, inout Element) -> Void
    ) throws {
        let layout = try makeLayout([[20]])
        var parameters = TensorSet.random(layout, seed: 1)
        var elements = parameters["layer0.weight"].map { Element($0) }
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            optimizer
        }
        for step in 1...steps {
            let gradients = TensorSet.random(layout, seed: UInt64(step) + 1, scale: gradientScale)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
            for (index, gradient) in gradients["layer0.weight"].enumerated() {
                formula(step, Double(gradient), &elements[index])
            }
            let difference = largestDifference(parameters["layer0.weight"], elements.map(\.parameter))
            #expect(difference < tolerance, "step \(step)")
        }
    }

    @Test func `NAdam with decoupled decay follows PyTorch's formula`() throws {
        var product = 1.0
        var momenta: [Int: Double] = [:]
        func momentum(_ step: Int) -> Double { 0.8 * (1 - 0.5 * pow(0.96, Double(step) * 0.5)) }
        try compare(
            NAdam(
                learningRate: 0.01, beta1: 0.8, beta2: 0.9, momentumDecay: 0.5, weightDecay: 0.25,
                decouplesWeightDecay: true)
        ) { step, gradient, element in
            if momenta[step] == nil {
                product *= momentum(step)
                momenta[step] = product
            }
            element.parameter *= 1 - 0.01 * 0.25
            element.first = 0.8 * element.first + 0.2 * gradient
            element.second = 0.9 * element.second + 0.1 * gradient * gradient
            let root = (element.second / (1 - pow(0.9, Double(step)))).squareRoot() + 1e-8
            element.parameter -= 0.01 * (1 - momentum(step)) / (1 - product) * gradient / root
            let next = momentum(step + 1)
            element.parameter -= 0.01 * next / (1 - product * next) * element.first / root
        }
    }

    @Test(arguments: [false, true]) func `RAdam with decay follows PyTorch's formula`(_ decouples: Bool) throws {
        var lengths: Set<Bool> = []
        try compare(
            RAdam(learningRate: 0.01, beta1: 0.8, beta2: 0.9, weightDecay: 0.25, decouplesWeightDecay: decouples)
        ) { step, gradient, element in
            var gradient = gradient
            if decouples { element.parameter *= 1 - 0.01 * 0.25 } else { gradient += 0.25 * element.parameter }
            element.first = 0.8 * element.first + 0.2 * gradient
            element.second = 0.9 * element.second + 0.1 * gradient * gradient
            let (bias, power) = (1 - pow(0.8, Double(step)), pow(0.9, Double(step)))
            let length = 19 - 2 * Double(step) * power / (1 - power)
            lengths.insert(length > 5)
            var direction = element.first / bias
            if length > 5 {
                let square = (length - 4) * (length - 2) * 19 / (15 * 17 * length)
                direction *= square.squareRoot() * (1 - power).squareRoot() / (element.second.squareRoot() + 1e-8)
            }
            element.parameter -= 0.01 * direction
        }
        #expect(lengths.count == 2)
    }

    @Test func `AdEMAMix warms alpha and beta3 up as its paper does`() throws {
        try compare(
            AdEMAMix(
                learningRate: 0.01, beta1: 0.8, beta2: 0.9, beta3: 0.99, alpha: 4, warmup: 5, weightDecay: 0.25)
        ) { step, gradient, element in
            let progress = min(1, Double(step) / 5)
            let halfLife = (1 - progress) * log(0.5) / log(0.8) + progress * log(0.5) / log(0.99)
            let beta3 = pow(0.5, 1 / halfLife)
            element.first = 0.8 * element.first + 0.2 * gradient
            element.second = 0.9 * element.second + 0.1 * gradient * gradient
            element.third = beta3 * element.third + (1 - beta3) * gradient
            let root = (element.second / (1 - pow(0.9, Double(step)))).squareRoot() + 1e-8
            let mixture = element.first / (1 - pow(0.8, Double(step))) + 4 * progress * element.third
            element.parameter -= 0.01 * (mixture / root + 0.25 * element.parameter)
        }
    }

    @Test func `AdaBelief and Yogi shrink parameters as AdamW does`() throws {
        try compare(AdaBelief(learningRate: 0.01, beta1: 0.8, beta2: 0.9, epsilonRoot: 0.5, weightDecay: 0.25)) {
            step, gradient, element in
            element.first = 0.8 * element.first + 0.2 * gradient
            let error = gradient - element.first
            element.second = 0.9 * element.second + 0.1 * error * error + 0.5
            let root = (element.second / (1 - pow(0.9, Double(step)))).squareRoot() + 1e-16
            let quotient = element.first / (1 - pow(0.8, Double(step))) / root
            element.parameter -= 0.01 * (quotient + 0.25 * element.parameter)
        }
        try compare(Yogi(learningRate: 0.01, beta1: 0.8, beta2: 0.9, initialAccumulator: 0.5, weightDecay: 0.25)) {
            step, gradient, element in
            if step == 1 { (element.first, element.second) = (0.5, 0.5) }
            element.first = 0.8 * element.first + 0.2 * gradient
            let square = gradient * gradient
            element.second += (element.second > square ? -0.1 : 0.1) * square
            let root = (element.second / (1 - pow(0.9, Double(step)))).squareRoot() + 1e-3
            let quotient = element.first / (1 - pow(0.8, Double(step))) / root
            element.parameter -= 0.01 * (quotient + 0.25 * element.parameter)
        }
    }

    // MARK: Extremes

    @Test(arguments: [
        Adadelta() as any Optimizer, NAdam(), AdaBelief(), Yogi(), AdEMAMix(), ScheduleFreeAdamW(),
    ]) func `nothing moves along a gradient whose square overflows`(_ optimizer: any Optimizer) throws {
        let layout = try makeLayout([[20]])
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters.bits
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            optimizer
        }
        for step in 0..<3 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: step + 2, scale: 1e30)
            #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        }
        #expect(parameters.bits == before, "\(optimizer.name)")
    }

    @Test(arguments: [
        Adadelta() as any Optimizer, Adamax(), NAdam(), RAdam(), AdaBelief(), NovoGrad(), AdEMAMix(),
        ScheduleFreeAdamW(), Adamax(epsilon: 0), NAdam(epsilon: 0), RAdam(beta2: 0.9, epsilon: 0),
        AdaBelief(epsilon: 0, epsilonRoot: 0), NovoGrad(epsilon: 0), Yogi(epsilon: 0, initialAccumulator: 0),
        LARS(learningRate: 1), Adafactor(), Adafactor(epsilon1: 0, epsilon2: 0),
    ]) func `nothing moves along a gradient that is always 0`(_ optimizer: any Optimizer) throws {
        let layout = try makeLayout([[20]])
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters.bits
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            optimizer
        }
        for _ in 0..<7 { #expect(try pipeline.step(&parameters, gradients: TensorSet(zeros: layout)).isApplied) }
        #expect(parameters.bits == before, "\(optimizer.name)")
    }

    @Test(arguments: [[], [0, 1 << 20]])
    func `far along NAdam does what its formula comes to, whatever steps were missed`(_ missedSteps: [Int]) throws {
        let layout = try makeLayout([[5], [5]])
        func trained(after steps: Int, missing missedSteps: [Int] = []) throws -> [UInt32] {
            var parameters = TensorSet.random(layout, seed: 1)
            let state = try Pipeline(for: parameters) {
            } driving: {
                NAdam(momentumDecay: 1)
            }.state
            var pipeline = try Pipeline(
                resuming: PipelineState(
                    counters: StepCounters(appliedSteps: steps, missedSteps: missedSteps), layout: layout,
                    components: state.components, metricStates: state.metricStates), for: parameters
            ) {
            } driving: {
                NAdam(momentumDecay: 1)
            }
            for seed in 2..<5 as Range<UInt64> {
                #expect(try pipeline.step(&parameters, gradients: .random(layout, seed: seed)).isApplied)
            }
            return parameters.bits
        }
        #expect(try trained(after: 1 << 52, missing: missedSteps) == trained(after: 1 << 17))
    }
}
