public import DescentCore
import DescentTransforms

/// Adam's direction with the length of each tensor's own norm, for large batches, as Optax defines it.
///
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * g * g
///     u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weightDecay * p
///     p = p - learningRate * norm(p) / norm(u) * u            (ratio 1 where one of the norms is 0)
///
/// It is Adam's direction with a `TrustRatio` behind it, which takes one sweep more. State: 8 bytes an element. You et al.,
/// "Large batch optimization for deep learning: training BERT in 76 minutes" (2020).
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much: gradients smaller than it make smaller steps than PyTorch's, and a gradient of 0 makes none.
public struct LAMB: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Schedule
    /// The decay of the second moment.
    public var beta2: Schedule
    /// What keeps the denominator from 0.
    public var epsilon: Float
    public var weightDecay: Schedule
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<AdamRule>
    private var changing = ChangingSettings<AdamRule>()

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size relative to each tensor's norm, finite and at least 0, or a schedule of such.
    ///   - beta1: The decay of the first moment, in 0..<1, or a schedule of such.
    ///   - beta2: The decay of the second moment, in 0..<1, or a schedule of such.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: What the parameter adds to its update, finite and at least 0, or a schedule of such.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: Schedule = 0.001, beta1: some ScheduleConvertible = 0.9, beta2: some ScheduleConvertible = 0.999,
        epsilon: Float = 1e-6, weightDecay: some ScheduleConvertible = 0, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1.schedule
        self.beta2 = beta2.schedule
        self.epsilon = epsilon
        self.weightDecay = weightDecay.schedule
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(
            AdamRule(beta1: 0, beta2: 0, epsilon: epsilon, amsgrad: false, decouplesWeightDecay: true))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] { ["first moment", "second moment"] }
    public var branches: [OptimizerBranch] { [OptimizerBranch(self, then: [TrustRatio()])] }

    private var usualRule: AdamRule {
        AdamRule(
            beta1: 0, beta2: 0, epsilon: epsilon, amsgrad: false, decouplesWeightDecay: true,
            maximize: maximize)
    }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        (rules, changing) = try adamRules(
            usualRule, beta1: beta1, beta2: beta2, groups, of: name, in: layout)
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
}

extension LAMB: DescribedOptimizer {
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
