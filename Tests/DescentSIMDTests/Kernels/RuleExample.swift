import Descent
import DescentCore
import Testing

/// An optimizer that has a kernel, and how many steps have been applied before the one that is looked at.
struct RuleExample: Sendable, CustomTestStringConvertible {
    let optimizer: any Optimizer
    let appliedSteps: Int
    let testDescription: String

    init(_ optimizer: any Optimizer, _ detail: String = "", after appliedSteps: Int = 3) {
        self.optimizer = optimizer
        self.appliedSteps = appliedSteps
        testDescription = [optimizer.name, detail, "after \(appliedSteps)"].joined(separator: " ")
    }

    /// Every kernel, in the variants that it has.
    static let all: [RuleExample] = [
        RuleExample(RMSProp(alpha: 0.9)), RuleExample(RMSProp(momentum: 0.9), "with momentum"),
        RuleExample(RMSProp(alpha: 0.5, centered: true), "centered"),
        RuleExample(RMSProp(momentum: 0.5, centered: true, maximize: true), "centered with momentum"),
        RuleExample(Adagrad(learningRateDecay: 0.1)),
        RuleExample(Adagrad(initialAccumulator: 0.1, maximize: true), "started", after: 0),
        RuleExample(Adadelta(learningRate: 0.5, rho: 0.5)), RuleExample(Adamax()),
        RuleExample(Adamax(beta2: 0.5, maximize: true)), RuleExample(NAdam()),
        RuleExample(NAdam(decouplesWeightDecay: true), "decoupled"), RuleExample(RAdam(), "not rectified"),
        RuleExample(RAdam(), "rectified", after: 20), RuleExample(RAdam(decouplesWeightDecay: true), after: 20),
        RuleExample(AdaBelief()), RuleExample(AdaBelief(epsilonRoot: 1e-3)), RuleExample(Yogi()),
        RuleExample(Yogi(initialAccumulator: 0.5), "started", after: 0), RuleExample(AdEMAMix(maximize: true)),
        RuleExample(AdEMAMix(beta3: 0.99, warmup: 10), "warming up"), RuleExample(NovoGrad()),
        RuleExample(LARS(learningRate: 0.1)),
        RuleExample(LARS(learningRate: 0.1, nesterov: true, maximize: true), "looking ahead"),
        RuleExample(LARS(learningRate: 1e-42), "by little"), RuleExample(LARS(learningRate: 1e30), "by much"),
        RuleExample(ScheduleFreeAdamW()), RuleExample(ScheduleFreeAdamW(maximize: true), "starting", after: 0),
    ]

    /// The optimizer, ready for the step.
    func prepared(for layout: ParameterLayout) throws -> any Optimizer {
        var optimizer = optimizer
        try optimizer.configure(for: layout)
        optimizer.prepare(appliedSteps: appliedSteps, missedSteps: [])
        return optimizer
    }
}
