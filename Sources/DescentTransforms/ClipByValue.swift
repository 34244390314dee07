public import DescentCore

/// Moves every element of the gradients into a range: min(max(g, lower), upper).
///
/// NaN stays NaN, and an infinity becomes the end of the range. A pipeline looks for both before this stage, and skips the
/// step, unless it was told to let them pass (`nonFinite: .propagate`) or a `ZeroNonFinite` stands before. It is the one
/// clip that changes the direction of the gradient.
public struct ClipByValue: GradientTransform {
    /// Where the range ends.
    public enum Limits: Sendable {
        /// At a number and its negative.
        case symmetric(Schedule)
        /// At two numbers.
        case range(lower: Schedule, upper: Schedule)
    }

    /// Where the range ends.
    public var limits: Limits
    private var present: ClosedRange<Float> = 0...0

    /// Clips to -limit...limit, for a limit above 0, or a schedule of such; infinity changes nothing.
    ///
    /// A schedule that leaves this range skips the step.
    public init(_ limit: Schedule) { limits = .symmetric(limit) }

    /// Clips to -limit...limit, for a variable of any number type.
    @_disfavoredOverload public init(_ limit: some ScheduleConvertible) { self.init(limit.schedule) }

    /// Clips to a range of more than one number; an end that is infinite is no limit.
    public init(_ range: ClosedRange<Float>) {
        self.init(lower: range.lowerBound.schedule, upper: range.upperBound.schedule)
    }

    /// Clips to a range whose ends may change; a step in which the lower is not below the upper is skipped.
    public init(lower: Schedule, upper: Schedule) {
        if let lowest = lower.constant, let highest = upper.constant, lowest == -highest {
            limits = .symmetric(upper)
        } else {
            limits = .range(lower: lower, upper: upper)
        }
    }

    public var name: String {
        switch limits {
        case .symmetric(let limit): "ClipByValue(\(limit))"
        case .range(let lower, let upper): "ClipByValue(\(lower)...\(upper))"
        }
    }
    public var order: StageOrder { .trueGradients }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        switch limits {
        case .symmetric(let limit): try limit.validate("limit", of: name, in: .threshold)
        case .range(let lower, let upper):
            try lower.validate("lower", of: name, in: .limit)
            try upper.validate("upper", of: name, in: .limit)
            guard let lower = lower.constant, let upper = upper.constant else { return }
            try DescentError.require(
                lower < upper, name, "the range from \(lower) to \(upper) has to hold more than one number.")
        }
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        switch limits {
        case .symmetric(let limit):
            guard let limit = step.value(of: limit, "limit", in: .threshold) else { return }
            present = -limit...limit
        case .range(let lower, let upper):
            guard let lower = step.value(of: lower, "lower", in: .limit),
                let upper = step.value(of: upper, "upper", in: .limit)
            else { return }
            guard lower < upper else {
                return step.veto(
                    "the range from \(lower) to \(upper) after \(step.appliedSteps) applied steps does not hold more than "
                        + "one number")
            }
            present = lower...upper
        }
    }

    public var treatsParametersAlike: Bool { true }

    public func transform(_ block: inout some GradientBlock) { block.clamp(to: present) }
}

/// Written as its limit, or as both ends of its range.
extension ClipByValue: DescribedStage {
    private enum CodingKeys: CodingKey { case limit, lower, upper }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        if let limit = try settings.decodeIfPresent(Schedule.self, forKey: .limit) {
            self.init(limit)
            return
        }
        let (lower, upper): (Schedule, Schedule) = try (settings.value(.lower), settings.value(.upper))
        if let lowest = lower.constant, let highest = upper.constant, !(lowest <= highest) {
            throw DecodingError.dataCorruptedError(
                forKey: .lower, in: settings, debugDescription: "expected at most \(upper), found \(lower)")
        }
        self.init(lower: lower, upper: upper)
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: CodingKeys.self)
        switch limits {
        case .symmetric(let limit): try settings.encode(limit, forKey: .limit)
        case .range(let lower, let upper):
            try settings.encode(lower, forKey: .lower)
            try settings.encode(upper, forKey: .upper)
        }
    }
}
