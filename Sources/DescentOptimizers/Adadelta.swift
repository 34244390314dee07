public import DescentCore

/// Adadelta, as PyTorch defines it: steps as long as those before, relative to the gradient.
///
///     g = g + weightDecay * p
///     s = rho * s + (1 - rho) * g * g
///     u = sqrt(a + epsilon) / sqrt(s + epsilon) * g
///     a = rho * a + (1 - rho) * u * u
///     p = p - learningRate * u
///
/// Means below 1.2e-38 are flushed to 0; where the square of a gradient overflows, nothing moves. State: 8 bytes an element.
/// Zeiler, "ADADELTA: an adaptive learning rate method" (2012).
public struct Adadelta: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of both means of squares.
    public var rho: Double
    /// What keeps the first steps from 0.
    public var epsilon: Float
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<Rule>

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The factor of a step, finite and at least 0, or a schedule of such.
    ///   - rho: The decay of both means of squares, in 0..<1.
    ///   - epsilon: What keeps the first steps from 0, finite and above 0.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 1.0, rho: Double = 0.9, epsilon: Float = 1e-6,
        weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.rho = rho
        self.epsilon = epsilon
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(Rule(rho: rho, epsilon: epsilon, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.epsilon, .maximize] }
    public var slots: [Slot] { ["mean of squares", "mean of squared updates"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireDecay(rho, "rho", of: name)
        let usual = self
        rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
            let epsilon = settings.epsilon ?? usual.epsilon
            try DescentError.requirePositive(Double(epsilon), "epsilon", of: owner)
            return Rule(rho: usual.rho, epsilon: epsilon, maximize: settings.maximize ?? usual.maximize)
        }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let rule = rules[parameterIndex]
        return ElementwiseRule(
            .adadelta, gradientFactor: rule.maximize.gradientSign, rates.weightDecay, rule.rho, rule.oneMinusRho,
            rule.epsilon)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        if rule.maximize { block.scale(by: -1) }
        block.directEach { gradient, parameter, squares, updates in
            let decayed = gradient + decay * parameter
            squares = rule.mean(squares, decayed)
            let quotient = decayed / ReproducibleMath.squareRoot(squares + rule.epsilon)
            gradient = ReproducibleMath.squareRoot(updates + rule.epsilon) * quotient
            updates = rule.mean(updates, gradient)
        }
    }

    /// The factors of one group of parameters, each formed in Double and rounded once.
    private struct Rule {
        let rho: Float
        let oneMinusRho: Float
        let epsilon: Float
        let maximize: Bool

        init(rho: Double, epsilon: Float, maximize: Bool) {
            (self.rho, oneMinusRho) = (Float(rho), Float(1 - rho))
            self.epsilon = epsilon
            self.maximize = maximize
        }

        /// A mean of squares, with a number taken up.
        @inline(__always)
        func mean(_ squares: Float, _ value: Float) -> Float {
            (rho * squares + (oneMinusRho * value) * value).flushed
        }
    }
}

extension Adadelta: DescribedOptimizer {
    private enum CodingKeys: CodingKey { case learningRate, rho, epsilon, weightDecay, maximize, groups }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            rho: settings.value(.rho, or: usual.rho), epsilon: settings.value(.epsilon, or: usual.epsilon),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
