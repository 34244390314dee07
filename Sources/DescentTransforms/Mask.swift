public import DescentCore

/// Sets the gradients of some parameters to 0; the optimizer's momentum and weight decay still act on them.
public struct Mask: GradientScaling {
    private let condition: @Sendable (ParameterDescription) -> Bool
    private var isZeroed: [Bool] = []

    /// Sets to 0 the gradients of parameters for which a condition holds; it has to hold for one.
    public init(where condition: @escaping @Sendable (ParameterDescription) -> Bool) { self.condition = condition }

    /// Sets to 0 the gradients of parameters whose name begins like this, of which there has to be one.
    public init(prefix: String) { condition = { $0.name.hasPrefix(prefix) } }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireMatch(condition, in: layout, of: name)
        isZeroed = layout.map(condition)
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        for parameter in isZeroed.indices where isZeroed[parameter] { step.scale(parameter, by: 0) }
    }
}
