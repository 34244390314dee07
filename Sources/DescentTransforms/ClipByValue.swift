public import DescentCore

/// Moves every element of the gradients into a range: min(max(g, lower), upper).
///
/// NaN stays NaN. It is the one clip that changes the direction of the gradient.
public struct ClipByValue: GradientTransform {
    /// The lowest value an element may have.
    public let lower: Float
    /// The highest.
    public let upper: Float

    /// Clips to -limit...limit, for a finite limit above 0.
    public init(_ limit: Float) {
        (lower, upper) = (-limit, limit)
    }

    /// Clips to a range of finite numbers.
    public init(_ range: ClosedRange<Float>) {
        (lower, upper) = (range.lowerBound, range.upperBound)
    }

    public var name: String { lower == -upper ? "ClipByValue(\(upper))" : "ClipByValue(\(lower)...\(upper))" }
    public var order: StageOrder { .trueGradients }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(
            lower.isFinite && upper.isFinite && lower < upper, name,
            "the range from \(lower) to \(upper) has to be finite and must not be empty; a limit has to be above 0.")
    }

    public func transform(_ block: inout some GradientBlock) { block.clamp(to: lower...upper) }
}
