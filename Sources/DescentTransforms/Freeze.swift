public import DescentCore

/// Takes parameters out of the pipeline: they are not measured, not updated, and do not decay.
///
/// Their gradients may hold anything. It does not matter where in the chain the stage stands. In a chain alone, their
/// gradients stay as they were.
public struct Freeze: Stage {
    /// Which parameters it concerns.
    public let selection: ParameterSelection

    /// Freezes the parameters for which a condition holds; it has to hold for one.
    public init(where condition: @escaping @Sendable (ParameterDescription) -> Bool) {
        selection = .satisfying(condition)
    }

    /// Freezes the parameters whose name begins like this, of which there has to be one.
    public init(prefix: String) { selection = .named(prefix: prefix) }

    public var element: ChainElement { .freeze(selection) }
}
