public import DescentCore

/// Limits each element of a gradient to a multiple of the running mean m of its magnitude.
///
///     g = |g| > limit * m ? (g < 0 ? -1 : 1) * limit * m : g
///     m = decay * m + (1 - decay) * |g|
///
/// The first gradient that is not 0 passes as it is, and m begins with its magnitude. NaN stays NaN.
public struct ClipSpikes: GradientTransform {
    /// How many times its mean magnitude an element may have.
    public let limit: Float
    /// The share of the mean that remains after a step.
    public let decay: Float

    /// Limits elements.
    ///
    /// - Parameters:
    ///   - limit: How many times its mean magnitude an element may have, finite and above 0.
    ///   - decay: The share of the mean that remains after a step, in 0..<1.
    public init(limit: Float = 10, decay: Float = 0.99) {
        self.limit = limit
        self.decay = decay
    }

    public var slots: [Slot] { ["mean magnitude"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.requirePositive(limit, "limit", of: name)
        try DescentError.require((0..<1).contains(decay), name, "decay is \(decay); it has to lie in 0..<1.")
    }

    public func transform(_ block: inout some GradientBlock) {
        block.withElementsAndSlot { elements, means in
            for index in elements.indices {
                let bound = limit * means[index]
                if bound > 0, elements[index].magnitude > bound {
                    elements[index] = elements[index] < 0 ? -bound : bound
                }
                let magnitude = elements[index].magnitude
                means[index] = means[index] > 0 ? decay * means[index] + (1 - decay) * magnitude : magnitude
            }
        }
    }
}
