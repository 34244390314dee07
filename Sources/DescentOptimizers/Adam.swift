public import DescentCore

/// Adam, with weight decay as part of the gradient, as PyTorch defines it.
///
///     g = g + weightDecay * p
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * g * g
///     p = p - learningRate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
///
/// With AMSGrad, the largest v so far stands in the denominator. t counts applied steps from 1. State: 8 bytes an
/// element, 12 with AMSGrad. Kingma and Ba, "Adam" (2015); Reddi, Kale and Kumar, "On the convergence of Adam and beyond" (2018).
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much: gradients smaller than it make smaller steps than PyTorch's, and a gradient of 0 makes none.
public struct Adam: AdamOptimizer {
    public var settings: AdamSettings
    private var rules: GroupedRules<AdamRule>
    private var changing = ChangingSettings<AdamRule>()

    public static var usualWeightDecay: Float { 0 }

    public init(_ settings: AdamSettings) {
        self.settings = settings
        rules = GroupedRules(settings.usualRule(decouplesWeightDecay: false))
    }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        (rules, changing) = try settings.rules(decouplesWeightDecay: false, of: name, in: layout)
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        if let problem = changing.problem(at: step.appliedSteps) { return step.veto(problem) }
        prepare(appliedSteps: step.appliedSteps, missedSteps: step.missedSteps)
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        changing.apply(to: &rules, at: appliedSteps)
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) { $0.prepare(step: $1) }
    }

    public func makeDirection(_ block: inout some UpdateBlock) { block.makeDirection(rules[block.parameterIndex]) }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func update(_ block: inout some UpdateBlock) { block.apply(rules[block.parameterIndex]) }
}
