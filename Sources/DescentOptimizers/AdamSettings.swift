public import DescentCore

/// The settings that Adam and AdamW share.
public struct AdamSettings: Sendable {
    /// The learning rate of parameters that no group gives another one.
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Schedule
    /// The decay of the second moment.
    public var beta2: Schedule
    /// What keeps the denominator from 0.
    public var epsilon: Float
    /// The weight decay of parameters that no group gives another one.
    public var weightDecay: Schedule
    /// Whether the denominator is made of the largest second moment so far.
    public var amsgrad: Bool
    /// How moments are stored: float32, bfloat16 for half the memory, or int8 for a quarter.
    public var moments: ElementType
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    /// Settings for some of the parameters.
    public var groups: [ParameterGroup]

    /// A rule, before decays and groups are looked at.
    func usualRule(decouplesWeightDecay: Bool) -> AdamRule {
        AdamRule(
            beta1: 0, beta2: 0, epsilon: epsilon, amsgrad: amsgrad, decouplesWeightDecay: decouplesWeightDecay,
            maximize: maximize)
    }

    /// The rules of all parameters, checked, and what changes of them.
    func rules(
        decouplesWeightDecay: Bool, of optimizer: String, in layout: ParameterLayout
    ) throws(DescentError) -> (GroupedRules<AdamRule>, ChangingSettings<AdamRule>) {
        let rules = try adamRules(
            usualRule(decouplesWeightDecay: decouplesWeightDecay), beta1: beta1, beta2: beta2, groups, of: optimizer,
            in: layout)
        try requireUsable(moments, of: optimizer)
        return rules
    }
}

extension AdamSettings: Encodable {
    fileprivate enum CodingKeys: CodingKey {
        case learningRate, beta1, beta2, epsilon, weightDecay, amsgrad, moments, maximize, groups
    }
}

/// An optimizer with the settings of Adam, each of which is a property of it: `optimizer.beta1`.
@dynamicMemberLookup
public protocol AdamOptimizer: DescribedOptimizer, DirectionalOptimizer {
    /// All settings.
    var settings: AdamSettings { get set }

    /// The weight decay where none is given.
    static var usualWeightDecay: Float { get }

    /// Makes an optimizer of settings.
    init(_ settings: AdamSettings)
}

extension AdamOptimizer {
    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - beta1: The decay of the first moment, in 0..<1, or a schedule of such.
    ///   - beta2: The decay of the second moment, in 0..<1, or a schedule of such.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: What the parameter adds to its gradient (`Adam`, by default 0), or the share of it, times the
    ///     learning rate, that a step takes away (`AdamW`, by default 0.01); finite and at least 0, or a schedule of such.
    ///   - amsgrad: Whether to use the largest second moment so far.
    ///   - moments: How moments are stored: float32, bfloat16 for half the memory, or int8 for a quarter: codes of 8 bits
    ///     in groups of up to 32 (`ElementType.int8`), but for small parameters.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters, such as `.vectorsWithoutDecay`.
    public init(
        learningRate: Schedule = 0.001, beta1: some ScheduleConvertible = 0.9, beta2: some ScheduleConvertible = 0.999,
        epsilon: Float = 1e-8,
        weightDecay: some ScheduleConvertible = Self.usualWeightDecay, amsgrad: Bool = false,
        moments: ElementType = .float32,
        maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.init(
            AdamSettings(
                learningRate: learningRate, beta1: beta1.schedule, beta2: beta2.schedule, epsilon: epsilon,
                weightDecay: weightDecay.schedule,
                amsgrad: amsgrad, moments: moments, maximize: maximize, groups: groups))
    }

    /// Each of the settings.
    public subscript<Setting>(dynamicMember setting: WritableKeyPath<AdamSettings, Setting>) -> Setting {
        get { settings[keyPath: setting] }
        set { settings[keyPath: setting] = newValue }
    }

    public var learningRate: Schedule {
        get { settings.learningRate }
        set { settings.learningRate = newValue }
    }
    /// The weight decay of parameters that no group gives another one.
    public var weightDecay: Schedule {
        get { settings.weightDecay }
        set { settings.weightDecay = newValue }
    }
    public var groups: [ParameterGroup] {
        get { settings.groups }
        set { settings.groups = newValue }
    }
    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] {
        let squares = ["second moment"] + (settings.amsgrad ? ["largest second moment"] : [])
        // Squares have no sign, and a wider range.
        let type = settings.moments == .int8 ? .uint8 : settings.moments
        return [Slot("first moment", settings.moments)] + squares.map { Slot($0, type) }
    }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: AdamSettings.CodingKeys.self), Self().settings)
        try self.init(
            learningRate: settings.value(.learningRate, or: usual.learningRate),
            beta1: settings.value(.beta1, or: usual.beta1), beta2: settings.value(.beta2, or: usual.beta2),
            epsilon: settings.value(.epsilon, or: usual.epsilon),
            weightDecay: settings.value(.weightDecay, or: usual.weightDecay),
            amsgrad: settings.value(.amsgrad, or: usual.amsgrad), moments: settings.value(.moments, or: usual.moments),
            maximize: settings.value(.maximize, or: usual.maximize), groups: settings.value(.groups, or: usual.groups))
    }

    public func encode(to encoder: any Encoder) throws { try settings.encode(to: encoder) }
}

/// The rules of Adam, AdamW and LAMB, checked, and what changes of them.
func adamRules(
    _ usual: AdamRule, beta1: Schedule, beta2: Schedule, _ groups: [ParameterGroup], of optimizer: String,
    in layout: ParameterLayout
) throws(DescentError) -> (GroupedRules<AdamRule>, ChangingSettings<AdamRule>) {
    var changing = ChangingSettings<AdamRule>()
    let rules = try GroupedRules(groups, of: optimizer, in: layout) { settings, owner throws(DescentError) in
        changing.beginRule()
        var rule = usual
        rule.beta1 = try changing.add(settings.beta1, or: beta1, "beta1", of: owner, in: .decay) { $0.beta1 = $1 }
        rule.beta2 = try changing.add(settings.beta2, or: beta2, "beta2", of: owner, in: .decay) { $0.beta2 = $1 }
        rule.epsilon = settings.epsilon ?? usual.epsilon
        rule.maximize = settings.maximize ?? usual.maximize
        try requireNotNegative(Double(rule.epsilon), "epsilon", of: owner)
        return rule
    }
    return (rules, changing)
}

/// Refuses moments of a type that has not got the range of gradients and their squares, or no sign.
func requireUsable(_ moments: ElementType, of optimizer: String) throws(DescentError) {
    try DescentError.require(
        moments != .float16, optimizer,
        "moments of \(moments) lose small squares; use bfloat16, which has float32's range.")
    try DescentError.require(
        moments != .uint8, optimizer,
        "moments of \(moments) have no sign; use int8, with which squares are kept in uint8.")
}
