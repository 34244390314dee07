public import DescentCore

/// Stochastic gradient descent, with momentum if wanted, as PyTorch defines it.
///
///     g = g + weightDecay * p               (g = -g first, where maximizing)
///     v = momentum * v + (1 - dampening) * g        (v = g in the first step)
///     p = p - learningRate * (nesterov ? g + momentum * v : v)
///
/// State: 4 bytes an element with momentum, none without. Sutskever, Martens, Dahl and Hinton, "On the importance of
/// initialization and momentum in deep learning" (2013).
public struct SGD: DirectionalOptimizer {
    public var learningRate: Schedule
    /// The share of the velocity that remains after a step.
    public var momentum: Schedule
    /// The share of the gradient that the velocity does not take up.
    public var dampening: Double
    /// Whether the update looks ahead along the velocity.
    public var nesterov: Bool
    public var weightDecay: Schedule
    /// How the velocity is stored: float32, bfloat16 for half the memory, or int8 for a quarter.
    public var moments: ElementType
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<SGDRule>
    private var changing = ChangingSettings<SGDRule>()

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - momentum: The share of the velocity that remains, finite and at least 0, or a schedule of such; the number 0
    ///     keeps no velocity.
    ///   - dampening: The share of the gradient that the velocity does not take up, in 0...1.
    ///   - nesterov: Whether to look ahead; needs momentum and no dampening.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0, or a schedule of such.
    ///   - moments: How the velocity is stored: float32, bfloat16 for half the memory, or int8 for a quarter.
    ///   - maximize: Whether to climb.
    ///   - groups: Settings for some of the parameters.
    public init(
        learningRate: Schedule, momentum: some ScheduleConvertible = 0, dampening: Double = 0, nesterov: Bool = false,
        weightDecay: some ScheduleConvertible = 0, moments: ElementType = .float32, maximize: Bool = false,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.momentum = momentum.schedule
        self.dampening = dampening
        self.nesterov = nesterov
        self.weightDecay = weightDecay.schedule
        self.moments = moments
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(
            SGDRule(momentum: 0, dampening: dampening, nesterov: nesterov, maximize: maximize, isFirst: true))
    }

    public var groupSettings: [GroupSettings.Name] { [.momentum, .dampening, .nesterov, .maximize] }
    public var slots: [Slot] { keepsVelocity ? [Slot("velocity", moments)] : [] }
    private var keepsVelocity: Bool { momentum.constant != 0 || groups.contains { ($0.settings.momentum ?? 0) != 0 } }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireUsable(moments, of: name)
        let usual = self
        var changing = ChangingSettings<SGDRule>()
        rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
            changing.beginRule()
            let momentum = try changing.add(
                settings.momentum, or: usual.momentum, "momentum", of: owner, in: .notNegative
            ) { rule, value in
                // A rule without momentum would not write the velocity; this much is as good as none.
                rule.momentum = max(value, Double(Float.leastNormalMagnitude))
            }
            let keepsVelocity = settings.momentum.map { $0 > 0 } ?? (usual.momentum.constant != 0)
            let rule = SGDRule(
                momentum: momentum, dampening: settings.dampening ?? usual.dampening,
                nesterov: settings.nesterov ?? usual.nesterov, maximize: settings.maximize ?? usual.maximize,
                isFirst: true)
            try DescentError.require(
                (0...1).contains(rule.dampening), owner, "dampening is \(rule.dampening); it has to lie in 0...1.")
            try DescentError.require(
                !rule.nesterov || (keepsVelocity && rule.dampening == 0), owner,
                "nesterov needs a momentum above 0 and no dampening.")
            return rule
        }
        self.changing = changing
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        if let problem = changing.problem(at: step.appliedSteps) { return step.veto(problem) }
        prepare(appliedSteps: step.appliedSteps, missedSteps: step.missedSteps)
    }

    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) {
        changing.apply(to: &rules, at: appliedSteps)
        rules.updateEach(appliedSteps: appliedSteps, missedSteps: missedSteps) { $0.isFirst = $1 == 0 }
    }

    public func makeDirection(_ block: inout some UpdateBlock) { block.makeDirection(rules[block.parameterIndex]) }

    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { rules.isSame(for: parameter, other) }

    public func update(_ block: inout some UpdateBlock) { block.apply(rules[block.parameterIndex]) }
}

extension SGD: DescribedOptimizer {
    private enum CodingKeys: CodingKey {
        case learningRate, momentum, dampening, nesterov, weightDecay, moments, maximize, groups
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(learningRate: 0))
        try self.init(
            learningRate: settings.value(.learningRate), momentum: settings.value(.momentum, or: usual.momentum),
            dampening: settings.value(.dampening, or: usual.dampening),
            nesterov: settings.value(.nesterov, or: usual.nesterov),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            moments: settings.value(.moments, or: usual.moments),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }
}
