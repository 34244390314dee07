/// A rule that gives some of the parameters settings of their own.
///
/// ```swift
/// AdamW(groups: [.vectorsWithoutDecay, .named(prefix: "head.", learningRate: 1e-4).setting(beta2: 0.95)])
/// ```
/// Where a parameter is in several groups, each setting is that of the last one that gives it.
public struct ParameterGroup: Sendable {
    /// What the group is called in errors and explanations.
    public let label: String
    /// Which parameters it holds.
    public let selection: ParameterSelection
    /// Their learning rate; nil leaves it as it is.
    public let learningRate: Schedule?
    /// Their weight decay; nil leaves it as it is.
    public let weightDecay: Schedule?
    /// What else of the optimizer's settings they have of their own; see ``setting(momentum:dampening:nesterov:maximize:alpha:beta1:beta2:epsilon:learningRateDecay:)``.
    public private(set) var settings = GroupSettings()
    /// Whether it is an error that the group holds no parameter at all.
    public let mustMatch: Bool

    /// Makes a group of the parameters for which a condition holds, of which there has to be one.
    public init(
        _ label: String, learningRate: Schedule? = nil, weightDecay: Schedule? = nil,
        where contains: @escaping @Sendable (ParameterDescription) -> Bool
    ) {
        self.init(.satisfying(contains), label: label, learningRate: learningRate, weightDecay: weightDecay)
    }

    private init(
        _ selection: ParameterSelection, label: String? = nil, learningRate: Schedule?, weightDecay: Schedule?
    ) {
        self.label = label ?? selection.label
        self.selection = selection
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        if case .rank = selection { mustMatch = false } else { mustMatch = true }
    }

    /// The parameters whose name begins like this, of which there has to be one.
    public static func named(
        prefix: String, learningRate: Schedule? = nil, weightDecay: Schedule? = nil
    ) -> ParameterGroup {
        ParameterGroup(.named(prefix: prefix), learningRate: learningRate, weightDecay: weightDecay)
    }

    /// The parameters whose name begins in one of several ways; there has to be one for each.
    public static func named(
        prefixes: [String], learningRate: Schedule? = nil, weightDecay: Schedule? = nil
    ) -> ParameterGroup {
        ParameterGroup(.named(prefixes: prefixes), learningRate: learningRate, weightDecay: weightDecay)
    }

    /// The parameters with a rank in a range, if there are any.
    public static func rank(
        _ ranks: ClosedRange<Int>, learningRate: Schedule? = nil, weightDecay: Schedule? = nil
    ) -> ParameterGroup {
        ParameterGroup(.rank(ranks), learningRate: learningRate, weightDecay: weightDecay)
    }

    // MARK: Weight decay as any number

    /// Makes a group of the parameters for which a condition holds, of which there has to be one.
    @_disfavoredOverload public init(
        _ label: String, learningRate: Schedule? = nil, weightDecay: some ScheduleConvertible,
        where contains: @escaping @Sendable (ParameterDescription) -> Bool
    ) {
        self.init(label, learningRate: learningRate, weightDecay: weightDecay.schedule as Schedule?, where: contains)
    }

    /// The parameters whose name begins like this, of which there has to be one.
    @_disfavoredOverload public static func named(
        prefix: String, learningRate: Schedule? = nil, weightDecay: some ScheduleConvertible
    ) -> ParameterGroup {
        .named(prefix: prefix, learningRate: learningRate, weightDecay: weightDecay.schedule as Schedule?)
    }

    /// The parameters whose name begins in one of several ways; there has to be one for each.
    @_disfavoredOverload public static func named(
        prefixes: [String], learningRate: Schedule? = nil, weightDecay: some ScheduleConvertible
    ) -> ParameterGroup {
        .named(prefixes: prefixes, learningRate: learningRate, weightDecay: weightDecay.schedule as Schedule?)
    }

    /// The parameters with a rank in a range, if there are any.
    @_disfavoredOverload public static func rank(
        _ ranks: ClosedRange<Int>, learningRate: Schedule? = nil, weightDecay: some ScheduleConvertible
    ) -> ParameterGroup {
        .rank(ranks, learningRate: learningRate, weightDecay: weightDecay.schedule as Schedule?)
    }

    // MARK: Other settings

    /// The same group, with more settings of the optimizer given to its parameters; nil leaves one as it is.
    ///
    /// They have the ranges and the meaning of the optimizer's own. A setting that the optimizer has not got is refused
    /// when a pipeline is built.
    ///
    /// - Parameters:
    ///   - momentum: The share of the velocity that remains (`SGD`, `RMSProp`).
    ///   - dampening: The share of the gradient that the velocity does not take up (`SGD`).
    ///   - nesterov: Whether to look ahead (`SGD`).
    ///   - maximize: Whether to climb (all optimizers).
    ///   - alpha: The decay of the mean of squares (`RMSProp`).
    ///   - beta1: The decay of the first moment (`Lion`, and all of Adam's family).
    ///   - beta2: The decay of the second moment (`Lion`, and all of Adam's family).
    ///   - epsilon: What keeps the denominator from 0 (all but `SGD` and `Lion`).
    ///   - learningRateDecay: How fast the step size falls (`Adagrad`).
    /// - Returns: The group with these settings.
    public func setting(
        momentum: Double? = nil, dampening: Double? = nil, nesterov: Bool? = nil, maximize: Bool? = nil,
        alpha: Double? = nil, beta1: Double? = nil, beta2: Double? = nil, epsilon: Float? = nil,
        learningRateDecay: Float? = nil
    ) -> ParameterGroup {
        var later = GroupSettings()
        (later.momentum, later.dampening, later.nesterov, later.maximize) = (momentum, dampening, nesterov, maximize)
        (later.alpha, later.beta1, later.beta2) = (alpha, beta1, beta2)
        (later.epsilon, later.learningRateDecay) = (epsilon, learningRateDecay)
        return setting(later)
    }

    /// The same group, with more settings of the optimizer given to its parameters.
    public func setting(_ settings: GroupSettings) -> ParameterGroup {
        var group = self
        group.settings = group.settings.overridden(by: settings)
        return group
    }

    /// The parameters of rank 0 and 1, biases and gains, without weight decay.
    public static let vectorsWithoutDecay = ParameterGroup.rank(0...1, weightDecay: 0)
}

/// Written as what tells its parameters and what it gives them: `{"prefix": "head.", "learningRate": 0.1}`,
/// `{"rank": [0, 1], "weightDecay": 0}`, `{"prefix": ["head.", "body."], "beta2": 0.95}`.
extension ParameterGroup: Codable {
    private enum CodingKeys: CodingKey { case learningRate, weightDecay }

    /// Reads a group by the beginnings of names or by ranks.
    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            ParameterSelection(from: decoder),
            learningRate: settings.decodeIfPresent(Schedule.self, forKey: .learningRate),
            weightDecay: settings.decodeIfPresent(Schedule.self, forKey: .weightDecay))
        self.settings = try GroupSettings(from: decoder)
    }

    /// Writes the group.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for one made with a closure.
    public func encode(to encoder: any Encoder) throws {
        if case .satisfying = selection {
            throw DescentError(
                .invalidDocument, "the group \"\(label)\" is made with a closure and cannot be written down")
        }
        try selection.encodeMembers(to: encoder)
        var settings = encoder.container(keyedBy: CodingKeys.self)
        try settings.encodeIfPresent(learningRate, forKey: .learningRate)
        try settings.encodeIfPresent(weightDecay, forKey: .weightDecay)
        try self.settings.encode(to: encoder)
    }
}
