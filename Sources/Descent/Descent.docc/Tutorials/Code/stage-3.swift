public import DescentCore

/// Limits each element of a gradient.
public struct ClipSpikes: GradientTransform {
    /// The largest magnitude that stays.
    public let limit: Float

    /// Limits elements.
    ///
    /// - Parameter limit: The largest magnitude that stays, finite and above 0.
    public init(limit: Float) { self.limit = limit }

    public var order: StageOrder { .trueGradients }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.requirePositive(limit, "limit", of: name)
    }

    public func transform(_ block: inout some GradientBlock) {
        block.withElements { elements in
            for index in elements.indices where elements[index].magnitude > limit {
                elements[index] = elements[index] < 0 ? -limit : limit
            }
        }
    }
}
