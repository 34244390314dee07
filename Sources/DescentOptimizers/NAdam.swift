public import DescentCore

/// Adam with Nesterov's momentum, as PyTorch defines it.
///
///     g = g + weightDecay * p
///     c = beta1 * (1 - 0.96^(t * momentumDecay) / 2), d = that of the next step, C = the product of all c so far
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * g * g
///     u = ((1 - c) / (1 - C) * g + d / (1 - C * d) * m) / (sqrt(v / (1 - beta2^t)) + epsilon)
///     p = p - learningRate * u
///
/// With decoupled decay, u = u + weightDecay * p in place of the first line. t counts applied steps from 1. State: 8
/// bytes an element. Dozat, "Incorporating Nesterov momentum into Adam" (2016).
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much: gradients smaller than it make smaller steps than PyTorch's, and a gradient of 0 makes none.
public struct NAdam: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Double
    /// The decay of the second moment.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
    /// How fast the momentum approaches beta1.
    public var momentumDecay: Double
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
    ///   - momentumDecay: How fast the momentum approaches beta1, finite and at least 0.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0.
    ///   - decouplesWeightDecay: Whether the decay shrinks the parameters instead, by that share times the learning rate.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.002, beta1: Double = 0.9, beta2: Double = 0.999,
        epsilon: Float = 1e-8, momentumDecay: Double = 0.004,
        weightDecay: some ScheduleConvertible = 0.0, decouplesWeightDecay: Bool = false,
        maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.momentumDecay = momentumDecay
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
        try requireNotNegative(momentumDecay, "momentumDecay", of: name)
        rules = try rules(in: layout) { Rule($0) }
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        let momentumDecay = momentumDecay
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) {
            $0.prepare(appliedSteps: $1, momentumDecay: momentumDecay)
        }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let (rule, decay) = (rules[parameterIndex], rates.weightDecay)
        let (coupled, decoupled) = decouplesWeightDecay ? (0, decay) : (decay, 0)
        return rule.moments.elementwise(
            .nadam, decay: coupled, rule.moments.rootCorrection, rule.gradientShare, rule.momentShare, decoupled)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        let (coupled, decoupled) = decouplesWeightDecay ? (0, decay) : (decay, 0)
        let (moments, correction) = (rule.moments, rule.moments.rootCorrection)
        let (gradientShare, momentShare) = (rule.gradientShare, rule.momentShare)
        if moments.maximize { block.scale(by: -1) }
        block.directEach { gradient, parameter, first, second in
            let decayed = gradient + coupled * parameter
            first = moments.first(first, decayed)
            second = moments.second(second, decayed)
            let root = ReproducibleMath.squareRoot(second) * correction + moments.epsilon
            gradient = gradientShare * (decayed / root) + momentShare * (first / root) + decoupled * parameter
        }
    }

    /// The settings of one group of parameters, and what they come to in a step.
    private struct Rule {
        var moments: MomentRule
        /// What the gradient and the first moment are multiplied by.
        var (gradientShare, momentShare): (Float, Float) = (1, 0)
        /// The product of the momentum in all steps so far, and how many there were.
        var (product, count) = (1.0, 0)

        init(_ moments: MomentRule) { self.moments = moments }

        mutating func prepare(appliedSteps: Int, momentumDecay: Double) {
            moments.prepare(appliedSteps: appliedSteps)
            func momentum(_ step: Int) -> Double {
                moments.decays.first * (1 - 0.5 * ReproducibleMath.power(0.96, Double(step) * momentumDecay))
            }
            // Made again where training goes on from a checkpoint, and where parameters have missed steps.
            if count > appliedSteps { (product, count) = (1, 0) }
            // No momentum is above beta1; and 1 less a product that is as small as this is 1.
            if ReproducibleMath.power(moments.decays.first, appliedSteps) < 0x1p-60 {
                (product, count) = (0, appliedSteps)
            }
            while count < appliedSteps {
                count += 1
                product *= momentum(count)
            }
            let (present, next) = (momentum(appliedSteps + 1), momentum(appliedSteps + 2))
            let products = (present: product * present, next: product * present * next)
            gradientShare = Float((1 - present) / (1 - products.present))
            momentShare = Float(next / (1 - products.next))
        }
    }
}

extension NAdam: MomentOptimizer {}

extension NAdam: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, beta1, beta2, epsilon, momentumDecay, decouplesWeightDecay, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            epsilon: settings.value(.epsilon, or: usual.epsilon),
            momentumDecay: settings.value(.momentumDecay, or: usual.momentumDecay),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            decouplesWeightDecay: settings.value(.decouplesWeightDecay, or: usual.decouplesWeightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
