/// A number that depends on the count of applied steps: a learning rate, a decay, a threshold, a factor.
///
/// Accumulated micro-batches and skipped steps do not advance it. A plain number is a constant schedule:
/// `AdamW(learningRate: 0.001)`. Others are made by name, `.cosine(from: 0.1, over: 1_000)`, or hold a rule of one's own,
/// `Schedule(Sawtooth(peak: 0.01, period: 50))`; see ``ScheduleRule``. They are put together with ``then(_:at:)`` and
/// ``warmedUp(over:from:)``.
public struct Schedule: Sendable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, CustomStringConvertible {
    enum Kind: Sendable {
        /// Here, and not a rule, so that a number costs nothing to look up.
        case constant(Double)
        case rule(any ScheduleRule)
        case closure(String, @Sendable (Int) -> Double)
    }

    private(set) var kind: Kind

    init(kind: Kind) { self.kind = kind }

    /// Makes a schedule that follows a rule.
    public init(_ rule: some ScheduleRule) { kind = .rule(rule) }

    /// A constant.
    public init(floatLiteral value: Double) { kind = .constant(value) }

    /// A constant.
    public init(integerLiteral value: Int) { kind = .constant(Double(value)) }

    /// The value after a number of applied steps, at least 0.
    public func value(at step: Int) -> Float { Float(unroundedValue(at: step)) }

    /// The value after a number of applied steps, at least 0, for a setting that is used in double precision.
    public func unroundedValue(at step: Int) -> Double {
        switch kind {
        case .constant(let value): value
        case .rule(let rule): rule.value(at: step)
        case .closure(_, let value): value(step)
        }
    }

    /// The number that it always is; nil if it may change.
    public var constant: Double? {
        if case .constant(let value) = kind { value } else { nil }
    }

    /// What the schedule does, for explanations.
    public var description: String {
        switch kind {
        case .constant(let value): value.shortDescription
        case .rule(let rule): rule.description
        case .closure(let name, _): name
        }
    }
}

extension ScheduleConvertible where Self == Schedule {
    /// The same number at every step.
    public static func constant(_ value: Double) -> Schedule { Schedule(kind: .constant(value)) }

    /// Infinity at every step: a threshold that is no limit.
    public static var infinity: Schedule { .constant(.infinity) }

    /// A schedule that a closure computes, which cannot be written down in documents.
    ///
    /// - Parameters:
    ///   - name: What explanations call it.
    ///   - value: Gives the value for a count of applied steps, starting at 0.
    /// - Returns: The schedule.
    public static func custom(_ name: String, _ value: @escaping @Sendable (Int) -> Double) -> Schedule {
        Schedule(kind: .closure(name, value))
    }
}

extension Double {
    /// The number as it was written, where it was a float32.
    var shortDescription: String { Double(Float(self)) == self ? "\(Float(self))" : "\(self)" }
}

// MARK: - What is checked

extension Schedule {
    /// Refuses settings that are out of range, when a pipeline is built.
    ///
    /// What a schedule comes to later, such as one that grows without end or a closure, is looked at in each step; see
    /// ``problem(_:at:in:)``.
    ///
    /// - Parameters:
    ///   - setting: What it is a schedule of: "learningRate".
    ///   - owner: Whose setting that is.
    ///   - range: Which values make sense.
    ///   - isToldMetrics: Whether the schedule may follow a metric, as it is told it.
    /// - Throws: ``DescentError`` with code `invalidSetting`.
    public func validate(
        _ setting: String, of owner: String, in range: SettingRange, isToldMetrics: Bool = false
    ) throws(DescentError) {
        switch kind {
        case .closure: break
        case .constant(let value):
            try DescentError.require(
                range.containsConstant(value), owner,
                "\(setting) is \(value.shortDescription); \(range.requirement(for: value)).")
        case .rule(let rule):
            try DescentError.require(
                isToldMetrics || !followsMetric, owner,
                "\(setting) follows a metric (\(rule)), and is told none; learning rates and weight decays are.")
            try rule.validate(for: "\(owner), schedule of \(setting)")
            for (name, value) in rule.extremes {
                try DescentError.require(
                    range.contains(value), owner,
                    "\(name) in the schedule of \(setting) is \(value.shortDescription); \(range.requirement(for: value))."
                )
            }
            for part in rule.parts { try part.validate(setting, of: owner, in: range, isToldMetrics: isToldMetrics) }
        }
    }

    /// What speaks against the value after a number of applied steps; nil if nothing does.
    ///
    /// - Parameters:
    ///   - setting: What it is a schedule of: "maximum".
    ///   - step: The number of applied steps.
    ///   - range: Which values make sense.
    /// - Returns: A sentence: "maximum is -1.0 after 7 applied steps; it has to be above 0, and infinity is no limit".
    public func problem(_ setting: String, at step: Int, in range: SettingRange) -> String? {
        let value = unroundedValue(at: step)
        return range.contains(value) ? nil : range.problem(setting, value, at: step)
    }
}

// MARK: - Metrics

extension Schedule {
    /// Whether the value depends on metrics that the training loop tells.
    public var followsMetric: Bool {
        if case .rule(let rule) = kind { rule.followsMetric } else { false }
    }

    /// Follows a metric.
    ///
    /// - Parameters:
    ///   - metric: The metric, which is not NaN.
    ///   - step: The number of applied steps.
    public mutating func note(metric: Double, at step: Int) {
        guard case .rule(var rule) = kind, rule.followsMetric else { return }
        rule.note(metric: metric, at: step)
        kind = .rule(rule)
    }

    /// What the schedule remembers of metrics.
    public var metricState: MetricState {
        if case .rule(let rule) = kind { rule.metricState } else { MetricState() }
    }

    /// Goes on from what a schedule of the same settings remembered.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch` for a state that is not this schedule's.
    public mutating func resume(_ state: MetricState) throws(DescentError) {
        guard case .rule(var rule) = kind, rule.followsMetric else { return }
        try rule.resume(state)
        kind = .rule(rule)
    }
}
