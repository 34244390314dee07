/// Which values a setting may have, as the float32 number that it becomes.
///
/// A schedule is held against it when a pipeline is built, as far as the schedule knows its values, and its value in
/// each step.
public enum SettingRange: Sendable, Hashable, CaseIterable {
    /// A finite number of at least 0, such as a learning rate.
    case notNegative
    /// A finite number above 0.
    case positive
    /// A number above 0; infinity is no limit.
    case threshold
    /// Any number but NaN; an infinity is no limit.
    case limit
    /// A finite number; as a constant, another one than 0.
    case factor
    /// A number in 0..<1, such as the decay of a moment.
    case decay
    /// A number in 0...1.
    case share

    /// Whether a value is in the range.
    public func contains(_ value: Double) -> Bool {
        switch self {
        case .notNegative: Float(value).isFinite && value >= 0
        case .positive: Float(value).isFinite && Float(value) > 0
        // A finite number that float32 cannot hold is a slip.
        case .threshold: Float(value) > 0 && (Float(value).isFinite || value == .infinity)
        case .limit: Float(value).isFinite || value.isInfinite
        case .factor: Float(value).isFinite
        case .decay: value >= 0 && value < 1
        case .share: value >= 0 && value <= 1
        }
    }

    /// Whether a value is in the range and makes sense as one that never changes.
    func containsConstant(_ value: Double) -> Bool {
        contains(value) && (self != .factor || Float(value) != 0)
    }

    /// What a value out of range has to be, as in "momentum is -1.0; it has to be a finite number of at least 0".
    func requirement(for value: Double) -> String {
        if value.isFinite, !Float(value).isFinite { return "it has to be a finite number in float32" }
        return switch self {
        case .notNegative: "it has to be a finite number of at least 0"
        case .positive: "it has to be a finite number above 0"
        case .threshold: "it has to be above 0, and infinity is no limit"
        case .limit: "it has to be a number, and an infinity is no limit"
        case .factor: "it has to be a finite number other than 0"
        case .decay: "it has to lie in 0..<1"
        case .share: "it has to lie in 0...1"
        }
    }

    /// What is wrong with a value out of range: "maximum is -1.0 after 7 applied steps; it has to be above 0, ...".
    func problem(_ setting: String, _ value: Double, at step: Int) -> String {
        "\(setting) is \(value.shortDescription) after \(step) applied steps; \(requirement(for: value))"
    }
}
