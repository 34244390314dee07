public import DescentCore

/// Multiplies gradients by a factor: g * s, with s a constant or a schedule of applied steps.
///
/// Costs no pass over memory.
public struct Scale: GradientScaling {
    /// The factor.
    public var factor: Schedule

    /// Multiplies by a factor that is finite and not 0, or by a schedule of such.
    public init(by factor: Schedule) { self.factor = factor }

    /// Multiplies by a variable of any number type.
    @_disfavoredOverload public init(by factor: some ScheduleConvertible) { self.init(by: factor.schedule) }

    public var name: String { "Scale(by: \(factor))" }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try factor.validate("by", of: name, in: .factor)
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        step.scale(by: factor.value(at: step.appliedSteps))
    }
}

extension Scale: DescribedStage {
    private enum CodingKeys: String, CodingKey { case factor = "by" }
}
