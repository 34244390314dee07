public import DescentCore

/// Lion, as Optax defines it.
///
///     c = sign(beta1 * m + (1 - beta1) * g)
///     m = beta2 * m + (1 - beta2) * g
///     p = p - learningRate * (c + weightDecay * p)
///
/// State: 4 bytes an element. Chen et al., "Symbolic discovery of optimization algorithms" (2023).
public struct Lion: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The share of the moment in the direction of a step.
    public var beta1: Schedule
    /// The decay of the moment.
    public var beta2: Schedule
    public var weightDecay: Schedule
    /// How the moment is stored: float32, bfloat16 for half the memory, or int8 for a quarter.
    public var moments: ElementType
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<LionRule>
    private var changing = ChangingSettings<LionRule>()

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such; about a tenth of AdamW's.
    ///   - beta1: The share of the moment in the direction of a step, in 0..<1, or a schedule of such.
    ///   - beta2: The decay of the moment, in 0..<1, or a schedule of such.
    ///   - weightDecay: The share of a parameter, times the learning rate, that a step takes away; at least 0,
    ///     or a schedule of such.
    ///   - moments: How the moment is stored: float32, bfloat16 for half the memory, or int8 for a quarter.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: Schedule = 0.0001, beta1: some ScheduleConvertible = 0.9, beta2: some ScheduleConvertible = 0.99,
        weightDecay: some ScheduleConvertible = 0, moments: ElementType = .float32,
        maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1.schedule
        self.beta2 = beta2.schedule
        self.weightDecay = weightDecay.schedule
        self.moments = moments
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(LionRule(beta1: 0, beta2: 0, maximize: maximize))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .maximize] }
    public var slots: [Slot] { [Slot("moment", moments)] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireUsable(moments, of: name)
        let usual = self
        var changing = ChangingSettings<LionRule>()
        rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
            changing.beginRule()
            let beta1 = try changing.add(settings.beta1, or: usual.beta1, "beta1", of: owner, in: .decay) {
                $0.beta1 = $1
            }
            let beta2 = try changing.add(settings.beta2, or: usual.beta2, "beta2", of: owner, in: .decay) {
                $0.beta2 = $1
            }
            return LionRule(beta1: beta1, beta2: beta2, maximize: settings.maximize ?? usual.maximize)
        }
        self.changing = changing
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        if let problem = changing.problem(at: step.appliedSteps) { return step.veto(problem) }
        prepare(appliedSteps: step.appliedSteps)
    }

    public mutating func prepare(appliedSteps: Int) { changing.apply(to: &rules, at: appliedSteps) }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func makeDirection(_ block: inout some UpdateBlock) { block.makeDirection(rules[block.parameterIndex]) }

    public func update(_ block: inout some UpdateBlock) { block.apply(rules[block.parameterIndex]) }
}

extension Lion: DescribedOptimizer {
    private enum CodingKeys: CodingKey { case learningRate, beta1, beta2, weightDecay, moments, maximize, groups }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            moments: settings.value(.moments, or: usual.moments),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
