/// A number of elements that a stage did something to.
public struct CountRecord: Sendable, Hashable {
    /// The stage.
    public let stage: String
    /// How many elements.
    public let count: Int
    /// Of how many.
    public let total: Int
}

/// One norm that a stage looked at: where in the chain, of what, and what it did.
public struct NormRecord: Sendable, Hashable {
    /// The stage that looked.
    public let stage: String
    /// The layer or parameter; nil for all parameters together.
    public let group: String?
    /// Which norm.
    public let kind: Norm
    /// The norm as it reached the stage.
    public let before: Double
    /// The norm as it left the stage.
    public let after: Double
    /// Whether the stage made it smaller.
    public let isClipped: Bool
}
