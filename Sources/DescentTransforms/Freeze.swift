public import DescentCore

/// Takes parameters out of the pipeline: they are not measured, not updated, and do not decay.
///
/// Their gradients may hold anything. It does not matter where in the chain the stage stands. In a chain alone, their
/// gradients stay as they were.
public struct Freeze: Excluding {
    private let condition: @Sendable (ParameterDescription) -> Bool

    /// Freezes the parameters for which a condition holds; it has to hold for one.
    public init(where condition: @escaping @Sendable (ParameterDescription) -> Bool) { self.condition = condition }

    /// Freezes the parameters whose name begins like this, of which there has to be one.
    public init(prefix: String) { condition = { $0.name.hasPrefix(prefix) } }

    public var effect: StageEffect { .scaling }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireMatch(condition, in: layout, of: name)
    }

    public func excludes(_ parameter: ParameterDescription) -> Bool { condition(parameter) }

    public func transform(_ block: inout some GradientBlock) {}
}

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

/// Refuses a condition that holds for no parameter.
func requireMatch(
    _ condition: (ParameterDescription) -> Bool, in layout: ParameterLayout, of stage: String
) throws(DescentError) {
    let names = layout.prefix(8).map(\.name).joined(separator: ", ")
    try DescentError.require(
        layout.isEmpty || layout.contains(where: condition), stage, "no parameter is chosen; there are \(names).")
}
