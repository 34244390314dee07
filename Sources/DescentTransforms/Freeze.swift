public import DescentCore

/// Takes parameters out of the pipeline: they are not measured, not updated, and do not decay.
///
/// Their gradients may hold anything. It does not matter where in the chain the stage stands. In a chain alone, their
/// gradients stay as they were.
public struct Freeze: Stage {
    /// Which parameters it concerns.
    public var selection: ParameterSelection

    /// Freezes the parameters for which a condition holds; it has to hold for one.
    public init(where condition: @escaping @Sendable (ParameterDescription) -> Bool) {
        self.init(.satisfying(condition))
    }

    /// Freezes the parameters whose name begins like this, of which there has to be one.
    public init(prefix: String) { self.init(.named(prefix: prefix)) }

    /// Freezes a selection of parameters, such as `.rank(0...1)`; it has to hold one.
    public init(_ selection: ParameterSelection) { self.selection = selection }

    public var element: ChainElement { .freeze(selection) }
}

extension Freeze: DescribedStage {
    public init(from decoder: any Decoder) throws { try self.init(ParameterSelection(from: decoder)) }

    public func encode(to encoder: any Encoder) throws { try selection.encodeMembers(to: encoder) }
}
