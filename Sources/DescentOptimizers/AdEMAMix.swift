public import DescentCore

/// Adam with a second, slow moment of gradients, which remembers thousands of steps, as Optax defines it.
///
///     m = beta1 * m + (1 - beta1) * g
///     s = beta3 * s + (1 - beta3) * g
///     v = beta2 * v + (1 - beta2) * g * g
///     u = (m / (1 - beta1^t) + alpha * s) / (sqrt(v / (1 - beta2^t)) + epsilon) + weightDecay * p
///     p = p - learningRate * u
///
/// t counts applied steps from 1. While t is below `warmup`, alpha counts as alpha * t / warmup, and beta3 as the decay
/// whose half-life is so far on the way from that of beta1 to that of beta3, as in the paper. State: 12 bytes an element.
/// Pagliardini, Ablin and Grangier, "The AdEMAMix optimizer: better, faster, older" (2024).
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much: a gradient of 0 makes no step.
public struct AdEMAMix: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Double
    /// The decay of the second moment.
    public var beta2: Double
    /// The decay of the slow moment.
    public var beta3: Double
    /// How much the slow moment weighs in the direction.
    public var alpha: Schedule
    /// In how many steps alpha and beta3 rise.
    public var warmup: Int
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
    ///   - beta1: The decay of the first moment, in 0..<1.
    ///   - beta2: The decay of the second moment, in 0..<1.
    ///   - beta3: The decay of the slow moment, in 0..<1.
    ///   - alpha: How much the slow moment weighs, finite and at least 0, or a schedule of such.
    ///   - warmup: In how many steps alpha and beta3 rise; 0 has them as they are from the first step on.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: The share of a parameter, times the learning rate, that a step takes away; finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.001, beta1: Double = 0.9, beta2: Double = 0.999,
        beta3: Double = 0.9999, alpha: some ScheduleConvertible = 5.0, warmup: Int = 0, epsilon: Float = 1e-8,
        weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.beta1 = beta1
        self.beta2 = beta2
        self.beta3 = beta3
        self.alpha = alpha.schedule
        self.warmup = warmup
        self.epsilon = epsilon
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(
            Rule(MomentRule(beta1: beta1, beta2: beta2, epsilon: epsilon, maximize: maximize)))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] { ["first moment", "second moment", "slow moment"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireDecay(beta3, "beta3", of: name)
        try alpha.validate("alpha", of: name, in: .notNegative)
        try DescentError.require(warmup >= 0, name, "warmup is \(warmup); it has to be at least 0.")
        rules = try rules(in: layout) { Rule($0) }
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        _ = step.value(of: alpha, "alpha", in: .notNegative)
        prepare(appliedSteps: step.appliedSteps, missedSteps: step.missedSteps)
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        let (alpha, beta3) = (alpha.value(at: appliedSteps), beta3)
        let progress = appliedSteps + 1 < warmup ? Double(appliedSteps + 1) / Double(warmup) : 1
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) {
            $0.prepare(appliedSteps: $1, alpha: alpha, beta3: beta3, progress: progress)
        }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let rule = rules[parameterIndex]
        return rule.moments.elementwise(
            .ademamix, decay: rates.weightDecay, rule.moments.correction, rule.moments.rootCorrection, rule.beta3,
            rule.oneMinusBeta3, rule.alpha)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        let (moments, alpha, beta3, oneMinusBeta3) = (rule.moments, rule.alpha, rule.beta3, rule.oneMinusBeta3)
        let (correction, rootCorrection) = (moments.correction, moments.rootCorrection)
        if moments.maximize { block.scale(by: -1) }
        block.directEach { gradient, parameter, first, second, slow in
            first = moments.first(first, gradient)
            second = moments.second(second, gradient)
            slow = (beta3 * slow + oneMinusBeta3 * gradient).flushed
            let root = ReproducibleMath.squareRoot(second) * rootCorrection + moments.epsilon
            gradient = (first * correction + alpha * slow) / root + decay * parameter
        }
    }

    /// The settings of one group of parameters, and what they come to in a step.
    private struct Rule {
        var moments: MomentRule
        private(set) var alpha: Float = 0
        private(set) var (beta3, oneMinusBeta3): (Float, Float) = (0, 1)

        init(_ moments: MomentRule) { self.moments = moments }

        /// Makes this the rule for the step that follows so many applied ones, with a share of the warm-up behind it.
        mutating func prepare(appliedSteps: Int, alpha: Float, beta3: Double, progress: Double) {
            moments.prepare(appliedSteps: appliedSteps)
            self.alpha = Float(Double(alpha) * progress)
            let decay = progress < 1 ? Self.decay(from: moments.decays.first, to: beta3, progress) : beta3
            (self.beta3, oneMinusBeta3) = (Float(decay), Float(1 - decay))
        }

        /// The decay whose half-life lies between those of two others.
        private static func decay(from start: Double, to end: Double, _ progress: Double) -> Double {
            // A decay of 0 has a half-life of 0: the logarithm is that of a number so small that it makes no difference.
            func logarithm(_ decay: Double) -> Double {
                ReproducibleMath.logarithmBase2(max(decay, .leastNormalMagnitude))
            }
            return ReproducibleMath.exponentialBase2(
                1 / ((1 - progress) / logarithm(start) + progress / logarithm(end)))
        }
    }
}

extension AdEMAMix: MomentOptimizer {}

extension AdEMAMix: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, beta1, beta2, beta3, alpha, warmup, epsilon, weightDecay, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            beta3: settings.value(.beta3, or: usual.beta3), alpha: settings.value(.alpha, or: usual.alpha),
            warmup: settings.value(.warmup, or: usual.warmup), epsilon: settings.value(.epsilon, or: usual.epsilon),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
