import Descent
import Foundation
import TestSupport
import Testing

/// What a stage or an optimizer uses without having declared it: the program stops, and the culprit is named.
@Suite struct UndeclaredUseTests {
    @Test func `a slot that a stage does not declare stops with its name and the remedy`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try take(SmoothsIntoNothing())
        }
        expect(
            result, "SmoothsIntoNothing uses slot 0, which it does not declare: name it in its slots.")
    }

    @Test func `so does one that an optimizer does not declare, for which nothing was done before`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try takeWith(ForgetsItsSlots())
        }
        expect(
            result, "ForgetsItsSlots uses slot 1, which it does not declare: name 2 of them in its slots.")
    }

    @Test func `so does Adam's rule without Adam's slots`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try takeWith(AdamWithoutMoments())
        }
        expect(
            result, "AdamWithoutMoments uses slot 1, which it does not declare: name 2 of them in its slots.")
    }

    @Test(arguments: [false, true])
    func `parameters that a stage does not declare stop a pipeline as they stop a chain`(_ isChain: Bool) async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { [isChain] in
            try take(ReadsParameters(), inChain: isChain)
        }
        expect(
            result,
            "ReadsParameters uses the parameters, which it does not declare: add .parameters to its requirements.")
    }

    @Test func `a norm that a stage does not declare stops with its name and the remedy`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try take(ReadsUndeclared())
        }
        expect(
            result,
            "ReadsUndeclared reads L1 norms, which it does not declare: add .norm(.l1) to its requirements, or to its "
                + "observations if it reads that in finish(_:) alone.")
    }

    @Test func `a factor for a parameter that does not exist stops with the stage's name`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try take(ScalesParameter(number: 99))
        }
        expect(result, "ScalesParameter scales parameter 99; there are 2, counted from 0.")
    }

    @Test func `so does one for a parameter before the first, in a stage for some parameters`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try take(ScalesParameter(number: -1).only(prefix: "layer0.weight"))
        }
        expect(result, "ScalesParameter.only scales parameter -1; there are 2, counted from 0.")
    }

    @Test(arguments: [nil, "layer0."])
    func `factors that a stage sets without being one that scales stop with its name and the remedy`(
        _ prefix: String?
    ) async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { [prefix] in
            if let prefix {
                try take(ScalesUndeclared().only(prefix: prefix))
            } else {
                try take(ScalesUndeclared())
            }
        }
        expect(
            result,
            "\(prefix == nil ? "ScalesUndeclared" : "ScalesUndeclared.only") sets factors in prepare(_:), which are "
                + "carried out for scaling stages alone: conform to GradientScaling, or keep the factor in a property and "
                + "multiply by it in transform(_:).")
    }

    @Test func `so do those of an optimizer, which has to keep them`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try takeWith(ScalingOptimizer())
        }
        expect(
            result,
            "ScalingOptimizer sets factors in prepare(_:), which are carried out for scaling stages alone: put such a stage "
                + "in front of it, or keep the factor in a property.")
    }

    @Test func `so does the norm of a parameter that does not exist`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            try take(ReadsNormOfParameter(number: 2))
        }
        expect(result, "ReadsNormOfParameter reads of parameter 2; there are 2, counted from 0.")
    }

    @Test func `what is declared is used as before`() throws {
        try take(Smooth(decay: 0.5))
        try take(PullsToZero())
        try take(PullsToZero(), inChain: true, withParameters: true)
        try takeWith(AdamW())
    }

    private func expect(
        _ result: ExitTest.Result?, _ reason: String, _ location: SourceLocation = #_sourceLocation
    ) {
        let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(message.contains("Descent: \(reason)\n"), "\(message)", sourceLocation: location)
    }
}

/// Takes a step with a stage.
private func take(
    _ stage: some GradientTransform, inChain: Bool = false, withParameters: Bool = false
) throws {
    let layout = try makeLayout([[4, 3], [5]])
    var parameters = TensorSet.random(layout, seed: 1)
    var gradients = TensorSet.random(layout, seed: 2)
    if inChain {
        var chain = try Chain(for: layout, on: SIMDBackend(threads: 1)) { stage }
        #expect(try chain.transform(&gradients, parameters: withParameters ? parameters : nil).isApplied)
    } else {
        var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
            stage
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
    }
}

/// Takes a step with an optimizer.
private func takeWith(_ optimizer: some Driving) throws {
    let layout = try makeLayout([[4, 3], [5]])
    var parameters = TensorSet.random(layout, seed: 1)
    var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
    } driving: {
        optimizer
    }
    #expect(try pipeline.step(&parameters, gradients: .random(layout, seed: 2)).isApplied)
}

/// Applies Adam's rule, and keeps no moments.
private struct AdamWithoutMoments: Optimizer {
    var learningRate: Schedule { 1 }
    func update(_ block: inout some UpdateBlock) {
        block.apply(
            AdamRule(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, amsgrad: false, decouplesWeightDecay: true, step: 0))
    }
}

/// Scales one parameter.
private struct ScalesParameter: GradientScaling {
    let number: Int
    func prepare(_ step: inout StepPreparation) { step.scale(number, by: 0.5) }
}

/// Scales, and does not say so.
private struct ScalesUndeclared: GradientTransform {
    func prepare(_ step: inout StepPreparation) { step.scale(by: 0.5) }
    func transform(_ block: inout some GradientBlock) {}
}

/// Scales what it is about to apply.
private struct ScalingOptimizer: Optimizer {
    var learningRate: Schedule { 1 }
    var requirements: [Requirement] { [.norm(.l2)] }
    func prepare(_ step: inout StepPreparation) { step.scale(by: 0.5) }
    func update(_ block: inout some UpdateBlock) { block.updateEach { gradient, parameter in parameter -= gradient } }
}

/// Reads the norm of one parameter.
private struct ReadsNormOfParameter: GradientScaling {
    let number: Int
    var requirements: [Requirement] { [.norm(.l2)] }
    func prepare(_ step: inout StepPreparation) { step.scale(by: Float(step.incoming.norm(.l2, of: number))) }
}

/// Reads the parameters, and says so.
private struct PullsToZero: GradientTransform {
    var requirements: [Requirement] { [.parameters] }
    func transform(_ block: inout some GradientBlock) {
        block.withElements { (gradient: inout MutableSpan<Float>, parameters: Span<Float>) in
            for index in parameters.indices { gradient[index] += 0.5 * parameters[index] }
        }
    }
}
