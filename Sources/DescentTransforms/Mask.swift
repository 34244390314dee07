public import DescentCore

/// Sets the gradients of some parameters to 0; the optimizer's momentum and weight decay still act on them.
public struct Mask: GradientScaling {
    /// Which parameters it concerns.
    public let selection: ParameterSelection
    private var isZeroed: [Bool] = []

    /// Sets to 0 the gradients of parameters for which a condition holds; it has to hold for one.
    public init(where condition: @escaping @Sendable (ParameterDescription) -> Bool) {
        selection = .satisfying(condition)
    }

    /// Sets to 0 the gradients of parameters whose name begins like this, of which there has to be one.
    public init(prefix: String) { selection = .named(prefix: prefix) }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireMatch(selection.contains, in: layout, of: name)
        isZeroed = layout.map(selection.contains)
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        for parameter in isZeroed.indices where isZeroed[parameter] { step.scale(parameter, by: 0) }
    }
}
