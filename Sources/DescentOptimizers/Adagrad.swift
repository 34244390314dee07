public import DescentCore

/// Adagrad, as PyTorch defines it.
///
///     g = g + weightDecay * p
///     s = s + g * g                         (s = initialAccumulator at first)
///     p = p - learningRate / (1 + (t - 1) * learningRateDecay) * g / (sqrt(s) + epsilon)
///
/// t counts applied steps from 1. An epsilon below 2^-63 (1.1e-19), the root of the smallest normal square, counts as
/// that much. State: 4 bytes an element. Duchi, Hazan and Singer, "Adaptive subgradient methods
/// for online learning and stochastic optimization" (2011).
public struct Adagrad: DirectionalOptimizer {
    public var learningRate: Schedule
    /// How fast the step size falls with the number of steps.
    public var learningRateDecay: Float
    /// What the sum of squares starts with.
    public var initialAccumulator: Float
    /// What keeps the denominator from 0.
    public var epsilon: Float
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<Rule>

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - learningRateDecay: How fast it falls with the number of steps, finite and at least 0.
    ///   - initialAccumulator: What the sum of squares starts with, finite and at least 0.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0, or a schedule of such.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: Schedule = 0.01, learningRateDecay: Float = 0, initialAccumulator: Float = 0,
        epsilon: Float = 1e-10, weightDecay: some ScheduleConvertible = 0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.learningRateDecay = learningRateDecay
        self.initialAccumulator = initialAccumulator
        self.epsilon = epsilon
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(
            Rule(learningRateDecay: Double(learningRateDecay), epsilon: epsilon, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.learningRateDecay, .epsilon, .maximize] }
    public var slots: [Slot] { ["sum of squares"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireNotNegative(Double(initialAccumulator), "initialAccumulator", of: name)
        let usual = self
        rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
            let epsilon = settings.epsilon ?? usual.epsilon
            let rule = Rule(
                learningRateDecay: Double(settings.learningRateDecay ?? usual.learningRateDecay),
                epsilon: epsilon, maximize: settings.maximize ?? usual.maximize)
            try requireNotNegative(rule.learningRateDecay, "learningRateDecay", of: owner)
            try requireNotNegative(Double(epsilon), "epsilon", of: owner)
            return rule
        }
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        let initialAccumulator = initialAccumulator
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) { rule, updates in
            rule.factor = Float(1 / (1 + Double(updates) * rule.learningRateDecay))
            rule.start = updates == 0 ? initialAccumulator : 0
        }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let rule = rules[parameterIndex]
        return ElementwiseRule(
            .adagrad, gradientFactor: rule.maximize.gradientSign, rates.weightDecay, rule.start, rule.epsilon,
            rule.factor)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let rule = rules[block.parameterIndex]
        let (decay, start, epsilon, factor) = (block.rates.weightDecay, rule.start, rule.epsilon, rule.factor)
        if rule.maximize { block.scale(by: -1) }
        block.directEach { gradient, parameter, sum in
            let decayed = gradient + decay * parameter
            sum = (start + sum) + decayed * decayed
            gradient = decayed / (ReproducibleMath.squareRoot(sum) + epsilon) * factor
        }
    }

    /// The settings of one group of parameters.
    private struct Rule {
        let learningRateDecay: Double
        let epsilon: Float
        let maximize: Bool
        /// What the direction is multiplied by in this step.
        var factor: Float = 1
        /// What is added to the sum of squares in this step.
        var start: Float = 0

        init(learningRateDecay: Double, epsilon: Float, maximize: Bool) {
            self.learningRateDecay = learningRateDecay
            self.epsilon = .denominatorEpsilon(epsilon, takingUp: 1)
            self.maximize = maximize
        }
    }
}

extension Adagrad: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, learningRateDecay, initialAccumulator, epsilon, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            learningRateDecay: settings.value(.learningRateDecay, or: usual.learningRateDecay),
            initialAccumulator: settings.value(.initialAccumulator, or: usual.initialAccumulator),
            epsilon: settings.value(.epsilon, or: usual.epsilon),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
