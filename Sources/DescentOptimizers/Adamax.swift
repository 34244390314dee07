public import DescentCore

/// Adam with the largest gradient, decayed, in place of the root of a mean of squares, as PyTorch defines it.
///
///     g = g + weightDecay * p
///     m = beta1 * m + (1 - beta1) * g
///     n = max(beta2 * n, abs(g) + epsilon)
///     p = p - learningRate * m / (1 - beta1^t) / n
///
/// t counts applied steps from 1. Moments below 1.2e-38 are flushed to 0, and an epsilon below that counts as that much.
/// State: 8 bytes an element. Kingma and Ba, "Adam" (2015), section 7.
public struct Adamax: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Double
    /// The decay of the largest gradient.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
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
    ///   - beta2: The decay of the largest gradient, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: some ScheduleConvertible = 0.002, beta1: Double = 0.9, beta2: Double = 0.999,
        epsilon: Float = 1e-8, weightDecay: some ScheduleConvertible = 0.0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate.schedule
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(MomentRule(beta1: beta1, beta2: beta2, epsilon: epsilon, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] { ["first moment", "largest gradient"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        rules = try rules(in: layout) { $0 }
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) { $0.prepare(appliedSteps: $1) }
    }

    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? {
        let rule = rules[parameterIndex]
        return rule.elementwise(
            .adamax, decay: rates.weightDecay, epsilon: Self.denominatorEpsilon(rule), rule.correction)
    }

    /// What keeps the denominator a normal number, which is enough where no square is taken that could be flushed.
    private static func denominatorEpsilon(_ rule: MomentRule) -> Float {
        max(rule.givenEpsilon, .leastNormalMagnitude)
    }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) {
        let (rule, decay) = (rules[block.parameterIndex], block.rates.weightDecay)
        let (correction, epsilon) = (rule.correction, Self.denominatorEpsilon(rule))
        if rule.maximize { block.scale(by: -1) }
        block.directEach { gradient, parameter, first, largest in
            let decayed = gradient + decay * parameter
            first = rule.first(first, decayed)
            let (kept, new) = (rule.beta2 * largest, decayed.magnitude + epsilon)
            largest = kept > new ? kept : new
            gradient = first / largest * correction
        }
    }
}

extension Adamax: MomentOptimizer {}

extension Adamax: DescribedOptimizer {
    private enum CodingKeys: CodingKey { case learningRate, beta1, beta2, epsilon, weightDecay, maximize, groups }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            epsilon: settings.value(.epsilon, or: usual.epsilon),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
