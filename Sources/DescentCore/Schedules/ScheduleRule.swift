/// How a number depends on the count of applied steps: what a ``Schedule`` holds, and what anybody can write.
///
/// ```swift
/// struct Sawtooth: ScheduleRule {
///     var peak: Double
///     var period: Int
///     func value(at step: Int) -> Double { peak * Double(period - step % period) / Double(period) }
///     var extremes: KeyValuePairs<String, Double> { ["peak": peak] }
///     var description: String { "\(peak), falling to 0 every \(period) steps" }
/// }
/// AdamW(learningRate: Schedule(Sawtooth(peak: 0.01, period: 50)))
/// ```
/// Its coding is its settings, which documents hold under its name: `{"Sawtooth": {"peak": 0.01, "period": 50}}`. They
/// are read where the catalog lists it.
///
/// A rule that follows a metric, such as a loss on validation data, also has ``followsMetric``, ``note(metric:at:)``,
/// ``metricState`` and ``resume(_:)``.
public protocol ScheduleRule: Codable, Sendable, CustomStringConvertible {
    /// What documents call the rule; by default the name of its type.
    static var typeName: String { get }

    /// The value after a number of applied steps, at least 0.
    ///
    /// Called a few times a step, on one thread. What it gives has to be the same on every machine, so that it uses
    /// ``ReproducibleMath`` where arithmetic is not enough.
    func value(at step: Int) -> Double

    /// Numbers that the rule takes, by the names of its settings, between which all others lie; by default none.
    ///
    /// They are checked, when a pipeline is built, against the range of what the schedule is used for.
    var extremes: KeyValuePairs<String, Double> { get }

    /// Refuses settings that make no sense, when a pipeline is built; by default none.
    ///
    /// - Parameter owner: Whose schedule it is, for the message.
    /// - Throws: ``DescentError`` with code `invalidSetting`.
    func validate(for owner: String) throws(DescentError)

    /// The schedules that the rule is made of, which are checked with it; by default none.
    var parts: [Schedule] { get }

    /// Whether the value depends on metrics that the training loop tells; by default, whether that of a part does.
    ///
    /// Such a rule cannot be used where metrics are not told, as for a threshold.
    var followsMetric: Bool { get }

    /// Follows a metric; by default nothing happens.
    ///
    /// - Parameters:
    ///   - metric: The metric, which is not NaN.
    ///   - step: The number of applied steps.
    mutating func note(metric: Double, at step: Int)

    /// What the rule remembers of metrics; by default nothing. Saved with the pipeline.
    var metricState: MetricState { get }

    /// Goes on from what a rule of the same settings remembered; by default nothing happens.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch` for a state that is not this rule's.
    mutating func resume(_ state: MetricState) throws(DescentError)
}

extension ScheduleRule {
    public static var typeName: String { String(describing: Self.self) }
    public var extremes: KeyValuePairs<String, Double> { [:] }
    public func validate(for owner: String) throws(DescentError) {}
    public var parts: [Schedule] { [] }
    public var followsMetric: Bool { parts.contains(where: \.followsMetric) }
    public mutating func note(metric: Double, at step: Int) {}
    public var metricState: MetricState { MetricState() }
    public mutating func resume(_ state: MetricState) throws(DescentError) {}
}

/// Refuses a number of steps that is too small.
func requireSteps(
    _ steps: Int, _ setting: String, of owner: String, atLeast minimum: Int = 1
) throws(DescentError) {
    try DescentError.require(
        steps >= minimum, owner, "\(setting) is \(steps); it has to be at least \(minimum).")
}
