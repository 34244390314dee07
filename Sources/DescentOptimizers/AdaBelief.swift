public import DescentCore

/// Adam that divides by how far gradients are from what the moment predicts, as Optax defines it.
///
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * (g - m) * (g - m) + epsilonRoot
///     u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weightDecay * p
///     p = p - learningRate * u
///
/// t counts applied steps from 1. Optax has no weight decay here. State: 8 bytes an element. Zhuang et al., "AdaBelief
/// optimizer: adapting stepsizes by the belief in observed gradients" (2020).
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much: a gradient of 0 makes no step.
public struct AdaBelief: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Double
    /// The decay of the second moment.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
    /// What is added to the second moment in every step.
    public var epsilonRoot: Float
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<MomentRule>

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - beta1: The decay of the first moment, in 0..<1.
    ///   - beta2: The decay of the second moment, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - epsilonRoot: What is added to the second moment in every step, finite and at least 0.
    ///   - weightDecay: The share of a parameter, times the learning rate, that a step takes away; finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.001, beta1: Double = 0.9, beta2: Double = 0.999,
        epsilon: Float = 1e-16, epsilonRoot: Float = 1e-16,
        weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.epsilonRoot = epsilonRoot
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(MomentRule(beta1: beta1, beta2: beta2, epsilon: epsilon, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] { ["first moment", "second moment"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireNotNegative(Double(epsilonRoot), "epsilonRoot", of: name)
        rules = try rules(in: layout) { $0 }
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) { $0.prepare(appliedSteps: $1) }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let rule = rules[parameterIndex]
        return rule.elementwise(
            .adabelief, decay: rates.weightDecay, rule.correction, rule.rootCorrection, epsilonRoot)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay, epsilonRoot) = (rules[block.parameterIndex], block.rates.weightDecay, epsilonRoot)
        let (correction, rootCorrection) = (rule.correction, rule.rootCorrection)
        if rule.maximize { block.scale(by: -1) }
        block.directEach { gradient, parameter, first, second in
            first = rule.first(first, gradient)
            second = (rule.second(second, gradient - first) + epsilonRoot).flushed
            let root = ReproducibleMath.squareRoot(second) * rootCorrection + rule.epsilon
            gradient = first / root * correction + decay * parameter
        }
    }
}

extension AdaBelief: MomentOptimizer {}

extension AdaBelief: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, beta1, beta2, epsilon, epsilonRoot, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            epsilon: settings.value(.epsilon, or: usual.epsilon),
            epsilonRoot: settings.value(.epsilonRoot, or: usual.epsilonRoot),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
