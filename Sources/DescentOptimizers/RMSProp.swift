public import DescentCore

/// RMSProp, as PyTorch defines it.
///
///     g = g + weightDecay * p
///     v = alpha * v + (1 - alpha) * g * g
///     d = sqrt(v) + epsilon            (centered: of v - a * a, with a = alpha * a + (1 - alpha) * g)
///     b = momentum * b + g / d         (without momentum: b = g / d)
///     p = p - learningRate * b
///
/// Means below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - alpha), 1.1e-18 by default, counts as that
/// much: gradients smaller than it make smaller steps than PyTorch's. Where squares overflow, nothing moves. State: 4
/// bytes an element, 4 more with momentum and 4 more where centered. Tieleman and Hinton, lecture 6.5 (2012);
/// Graves, "Generating sequences with recurrent neural networks" (2013).
public struct RMSProp: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of the mean of squares.
    public var alpha: Schedule
    /// What keeps the denominator from 0.
    public var epsilon: Float
    /// The share of the velocity that remains after a step.
    public var momentum: Schedule
    /// Whether the mean of gradients is taken out of the mean of squares.
    public var centered: Bool
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<Rule>
    private var changing = ChangingSettings<Rule>()

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - alpha: The decay of the mean of squares, in 0..<1, or a schedule of such.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0; above 0 if centered.
    ///   - momentum: The share of the velocity that remains, finite and at least 0, or a schedule of such; the number 0
    ///     keeps no velocity.
    ///   - centered: Whether to take the mean of gradients out of the mean of squares.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0, or a schedule of such.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: Schedule = 0.01, alpha: some ScheduleConvertible = 0.99, epsilon: Float = 1e-8,
        momentum: some ScheduleConvertible = 0,
        centered: Bool = false, weightDecay: some ScheduleConvertible = 0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.alpha = alpha.schedule
        self.epsilon = epsilon
        self.momentum = momentum.schedule
        self.centered = centered
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(Rule(alpha: 0, epsilon: epsilon, momentum: 0, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.alpha, .epsilon, .momentum, .maximize] }
    private var keepsVelocity: Bool { momentum.constant != 0 || groups.contains { ($0.settings.momentum ?? 0) != 0 } }
    public var slots: [Slot] {
        ["mean of squares"] + (keepsVelocity ? ["velocity"] : []) + (centered ? ["mean of gradients"] : [])
    }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        let usual = self
        var changing = ChangingSettings<Rule>()
        rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
            changing.beginRule()
            let alpha = try changing.add(settings.alpha, or: usual.alpha, "alpha", of: owner, in: .decay) {
                $0 = Rule(alpha: $1, epsilon: $0.givenEpsilon, momentum: $0.givenMomentum, maximize: $0.maximize)
            }
            let momentum = try changing.add(
                settings.momentum, or: usual.momentum, "momentum", of: owner, in: .notNegative
            ) {
                $0 = Rule(alpha: $0.givenAlpha, epsilon: $0.givenEpsilon, momentum: $1, maximize: $0.maximize)
            }
            let epsilon = settings.epsilon ?? usual.epsilon
            try requireNotNegative(Double(epsilon), "epsilon", of: owner)
            try DescentError.require(
                epsilon > 0 || !usual.centered, owner,
                "epsilon is 0; it has to be above 0 where centered, for a gradient that stays the same has no variance."
            )
            return Rule(
                alpha: alpha, epsilon: epsilon, momentum: momentum, maximize: settings.maximize ?? usual.maximize)
        }
        self.changing = changing
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        if let problem = changing.problem(at: step.appliedSteps) { return step.veto(problem) }
        prepare(appliedSteps: step.appliedSteps)
    }

    public mutating func prepare(appliedSteps: Int) { changing.apply(to: &rules, at: appliedSteps) }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let rule = rules[parameterIndex]
        let kernel: ElementwiseRule.Kernel =
            switch (keepsVelocity, centered) {
            case (false, false): .rmsprop
            case (true, false): .rmspropMomentum
            case (false, true): .rmspropCentered
            case (true, true): .rmspropCenteredMomentum
            }
        return ElementwiseRule(
            kernel, gradientFactor: rule.maximize.gradientSign, rates.weightDecay, rule.alpha, rule.oneMinusAlpha,
            rule.epsilon, rule.momentum)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        if rule.maximize { block.scale(by: -1) }
        switch (keepsVelocity, centered) {
        case (false, false):
            block.directEach { gradient, parameter, squares in
                gradient = rule.quotient(gradient + decay * parameter, &squares)
            }
        case (true, false):
            block.directEach { gradient, parameter, squares, velocity in
                let quotient = rule.quotient(gradient + decay * parameter, &squares)
                velocity = (rule.momentum * velocity + quotient).flushed
                gradient = velocity
            }
        case (false, true):
            block.directEach { gradient, parameter, squares, mean in
                gradient = rule.quotient(gradient + decay * parameter, &squares, &mean)
            }
        case (true, true):
            block.directEach { gradient, parameter, squares, velocity, mean in
                let quotient = rule.quotient(gradient + decay * parameter, &squares, &mean)
                velocity = (rule.momentum * velocity + quotient).flushed
                gradient = velocity
            }
        }
    }

    /// The factors of one group of parameters, each formed in Double and rounded once.
    private struct Rule {
        /// The settings that the factors are made of.
        let (givenAlpha, givenMomentum): (Double, Double)
        let givenEpsilon: Float
        let alpha: Float
        let oneMinusAlpha: Float
        let epsilon: Float
        let momentum: Float
        let maximize: Bool

        init(alpha: Double, epsilon: Float, momentum: Double, maximize: Bool) {
            (givenAlpha, givenMomentum, givenEpsilon) = (alpha, momentum, epsilon)
            (self.alpha, oneMinusAlpha) = (Float(alpha), Float(1 - alpha))
            self.epsilon = .denominatorEpsilon(epsilon, takingUp: 1 - alpha)
            self.momentum = Float(momentum)
            self.maximize = maximize
        }

        @inline(__always)
        func quotient(_ gradient: Float, _ squares: inout Float) -> Float {
            squares = (alpha * squares + (oneMinusAlpha * gradient) * gradient).flushed
            return gradient / (ReproducibleMath.squareRoot(squares) + epsilon)
        }

        @inline(__always)
        func quotient(_ gradient: Float, _ squares: inout Float, _ mean: inout Float) -> Float {
            squares = (alpha * squares + (oneMinusAlpha * gradient) * gradient).flushed
            mean = (alpha * mean + oneMinusAlpha * gradient).flushed
            // Rounding can make the variance of a gradient that hardly changes negative. Squares that overflow are
            // larger than that of any mean; infinity less infinity would be NaN.
            let variance = squares == .infinity ? squares : max(squares - mean * mean, 0)
            return gradient / (ReproducibleMath.squareRoot(variance) + epsilon)
        }
    }
}

extension RMSProp: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, alpha, epsilon, momentum, centered, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            alpha: settings.value(.alpha, or: usual.alpha), epsilon: settings.value(.epsilon, or: usual.epsilon),
            momentum: settings.value(.momentum, or: usual.momentum),
            centered: settings.value(.centered, or: usual.centered),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
