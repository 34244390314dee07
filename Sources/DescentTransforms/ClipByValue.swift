public import DescentCore

/// Moves every element of the gradients into a range: min(max(g, lower), upper).
///
/// NaN stays NaN, and an infinity becomes the end of the range. A pipeline looks for both before this stage, and skips the
/// step, unless it was told to let them pass (`nonFinite: .propagate`) or a `ZeroNonFinite` stands before. It is the one
/// clip that changes the direction of the gradient.
public struct ClipByValue: GradientTransform {
    /// The lowest value an element may have.
    public let lower: Float
    /// The highest.
    public let upper: Float

    /// Clips to -limit...limit, for a limit above 0; infinity changes nothing.
    public init(_ limit: Float) {
        (lower, upper) = (-limit, limit)
    }

    /// Clips to a range of more than one number; an end that is infinite is no limit.
    public init(_ range: ClosedRange<Float>) {
        (lower, upper) = (range.lowerBound, range.upperBound)
    }

    public var name: String { lower == -upper ? "ClipByValue(\(upper))" : "ClipByValue(\(lower)...\(upper))" }
    public var order: StageOrder { .trueGradients }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(
            lower < upper, name,
            "the range from \(lower) to \(upper) has to hold more than one number; a limit has to be above 0.")
    }

    public func transform(_ block: inout some GradientBlock) { block.clamp(to: lower...upper) }
}

/// Written as its limit, or as both ends of its range.
extension ClipByValue: DescribedStage {
    private enum CodingKeys: CodingKey { case limit, lower, upper }

    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        if let limit = try settings.decodeIfPresent(Float.self, forKey: .limit) {
            self.init(limit)
            return
        }
        let (lower, upper): (Float, Float) = try (settings.value(.lower), settings.value(.upper))
        guard lower <= upper else {
            throw DecodingError.dataCorruptedError(
                forKey: .lower, in: settings, debugDescription: "expected at most \(upper), found \(lower)")
        }
        self.init(lower...upper)
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: CodingKeys.self)
        if lower == -upper { return try settings.encode(upper, forKey: .limit) }
        try settings.encode(lower, forKey: .lower)
        try settings.encode(upper, forKey: .upper)
    }
}
