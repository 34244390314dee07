public import DescentCore

/// Adam whose second moment moves by a share of the gradient's square, and not of the distance to it, as Optax defines it.
///
///     m = beta1 * m + (1 - beta1) * g
///     v = v - (1 - beta2) * sign(v - g * g) * g * g       (m = v = initialAccumulator at first)
///     u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weightDecay * p
///     p = p - learningRate * u
///
/// t counts applied steps from 1. Optax has no weight decay here. Where squares overflow, nothing moves. State: 8 bytes an
/// element. Zaheer, Reddi, Sachan, Kale and Kumar, "Adaptive methods for nonconvex optimization" (2018).
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much.
public struct Yogi: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Double
    /// The decay of the second moment.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
    /// What both moments start with.
    public var initialAccumulator: Float
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
    ///   - initialAccumulator: What both moments start with, finite and at least 0.
    ///   - weightDecay: The share of a parameter, times the learning rate, that a step takes away; finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.01, beta1: Double = 0.9, beta2: Double = 0.999,
        epsilon: Float = 1e-3, initialAccumulator: Float = 1e-6,
        weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.initialAccumulator = initialAccumulator
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(MomentRule(beta1: beta1, beta2: beta2, epsilon: epsilon, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] { ["first moment", "second moment"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireNotNegative(Double(initialAccumulator), "initialAccumulator", of: name)
        rules = try rules(in: layout) { $0 }
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) { $0.prepare(appliedSteps: $1) }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let rule = rules[parameterIndex]
        return rule.elementwise(
            .yogi, decay: rates.weightDecay, rule.correction, rule.rootCorrection,
            rule.isFirst ? initialAccumulator : 0)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        let start = rule.isFirst ? initialAccumulator : 0
        let (correction, rootCorrection) = (rule.correction, rule.rootCorrection)
        if rule.maximize { block.scale(by: -1) }
        block.directEach { gradient, parameter, first, second in
            first = rule.first(start + first, gradient)
            let (before, square) = (start + second, gradient * gradient)
            let share = rule.oneMinusBeta2 * square
            // Where both are infinite they are equal, and their difference would be NaN.
            second = (before > square ? before - share : before < square ? before + share : before).flushed
            let root = ReproducibleMath.squareRoot(second) * rootCorrection + rule.epsilon
            gradient = first / root * correction + decay * parameter
        }
    }
}

extension Yogi: MomentOptimizer {}

extension Yogi: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, beta1, beta2, epsilon, initialAccumulator, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            epsilon: settings.value(.epsilon, or: usual.epsilon),
            initialAccumulator: settings.value(.initialAccumulator, or: usual.initialAccumulator),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
