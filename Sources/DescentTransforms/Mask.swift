public import DescentCore

/// Sets the gradients of some parameters to 0, whatever they hold; momentum and weight decay still act on them.
///
/// NaN and infinities of these parameters neither skip a step nor reach the optimizer, where the stage stands before
/// `Unscale` and before stages that take norms.
public struct Mask: GradientTransform {
    /// Which parameters it concerns.
    public var selection: ParameterSelection
    private var isZeroed: [Bool] = []

    /// Sets to 0 the gradients of parameters for which a condition holds; it has to hold for one.
    public init(where condition: @escaping @Sendable (ParameterDescription) -> Bool) {
        self.init(.satisfying(condition))
    }

    /// Sets to 0 the gradients of parameters whose name begins like this, of which there has to be one.
    public init(prefix: String) { self.init(.named(prefix: prefix)) }

    /// Sets to 0 the gradients of a selection of parameters, such as `.rank(0...1)`; it has to hold one.
    public init(_ selection: ParameterSelection) { self.selection = selection }

    public var effect: StageEffect { .linear }
    public var repairsNonFinite: Bool { true }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try selection.requireMatch(in: layout, of: name)
        isZeroed = layout.map(selection.contains)
    }

    public func transform(_ block: inout some GradientBlock) {
        if isZeroed[block.parameterIndex] { block.clear() }
    }
}

extension Mask: DescribedStage {
    public init(from decoder: any Decoder) throws { try self.init(ParameterSelection(from: decoder)) }

    public func encode(to encoder: any Encoder) throws { try selection.encodeMembers(to: encoder) }
}
