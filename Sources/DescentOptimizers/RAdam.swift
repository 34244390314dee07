public import DescentCore

/// Adam whose first steps, of which too little is known, go along the moment alone, as PyTorch defines it.
///
///     g = g + weightDecay * p
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * g * g
///     R = 2 / (1 - beta2) - 1
///     r = R - 2 * t * beta2^t / (1 - beta2^t)
///     c = sqrt((r - 4) * (r - 2) * R / ((R - 4) * (R - 2) * r))
///     u = m / (1 - beta1^t) * (r > 5 ? c * sqrt(1 - beta2^t) / (sqrt(v) + epsilon) : 1)
///     p = p - learningRate * u
///
/// With decoupled decay, u = u + weightDecay * p in place of the first line. t counts applied steps from 1. State: 8
/// bytes an element. Liu et al., "On the variance of the adaptive learning rate and beyond" (2020).
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much: gradients smaller than it make smaller steps than PyTorch's, and a gradient of 0 makes none.
public struct RAdam: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Double
    /// The decay of the second moment.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
    /// Whether the decay shrinks the parameters instead of entering the gradient.
    public var decouplesWeightDecay: Bool
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<Rule>

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - beta1: The decay of the first moment, in 0..<1.
    ///   - beta2: The decay of the second moment, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0.
    ///   - decouplesWeightDecay: Whether the decay shrinks the parameters instead, by that share times the learning rate.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.001, beta1: Double = 0.9, beta2: Double = 0.999,
        epsilon: Float = 1e-8, weightDecay: some ScheduleConvertible = 0.0, decouplesWeightDecay: Bool = false,
        maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.decouplesWeightDecay = decouplesWeightDecay
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(
            Rule(MomentRule(beta1: beta1, beta2: beta2, epsilon: epsilon, maximize: maximize)))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] { ["first moment", "second moment"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        rules = try rules(in: layout) { Rule($0) }
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) { $0.prepare(appliedSteps: $1) }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let (rule, decay) = (rules[parameterIndex], rates.weightDecay)
        let (coupled, decoupled) = decouplesWeightDecay ? (0, decay) : (decay, 0)
        return rule.moments.elementwise(
            .radam, decay: coupled, rule.factor, decoupled, rule.isRectified ? 1 : 0)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        let (coupled, decoupled) = decouplesWeightDecay ? (0, decay) : (decay, 0)
        let (moments, factor, isRectified) = (rule.moments, rule.factor, rule.isRectified)
        if moments.maximize { block.scale(by: -1) }
        block.directEach { gradient, parameter, first, second in
            let decayed = gradient + coupled * parameter
            first = moments.first(first, decayed)
            second = moments.second(second, decayed)
            let root = isRectified ? ReproducibleMath.squareRoot(second) + moments.epsilon : 1
            gradient = first / root * factor + decoupled * parameter
        }
    }

    /// The settings of one group of parameters, and what they come to in a step.
    private struct Rule {
        var moments: MomentRule
        /// Whether so many squares have been seen that they say something.
        var isRectified = false
        /// What the quotient of moment and root, or the moment alone, is multiplied by.
        var factor: Float = 1

        init(_ moments: MomentRule) { self.moments = moments }

        mutating func prepare(appliedSteps: Int) {
            moments.prepare(appliedSteps: appliedSteps)
            let (beta2, step, bias) = (moments.decays.second, appliedSteps + 1, 1 / moments.secondCorrection)
            let longest = 2 / (1 - beta2) - 1
            let length = longest - 2 * Double(step) * ReproducibleMath.power(beta2, step) / bias
            isRectified = length > 5
            guard isRectified else {
                factor = Float(moments.firstCorrection)
                return
            }
            let square =
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            factor = Float(moments.firstCorrection * (square * bias).squareRoot())
        }
    }
}

extension RAdam: MomentOptimizer {}

extension RAdam: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, beta1, beta2, epsilon, decouplesWeightDecay, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            epsilon: settings.value(.epsilon, or: usual.epsilon),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            decouplesWeightDecay: settings.value(.decouplesWeightDecay, or: usual.decouplesWeightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
