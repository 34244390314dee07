public import DescentCore

/// Sets NaN and infinities to 0 and lets the step be applied; the report says how many there were.
///
/// Behind it, gradients count as finite. An `Unscale` before it, or a stage that takes norms, still skips the step; in front
/// of a dynamic `Unscale` it hides overflow, so that the scale never backs off.
public struct ZeroNonFinite: GradientTransform {
    /// Repairs gradients.
    public init() {}

    public var observations: [Requirement] { [.nonFiniteCount] }
    public var repairsNonFinite: Bool { true }

    public var canFail: Bool { false }

    public mutating func prepare(_ step: inout StepPreparation) {
        step.record(countOf: .nonFiniteCount)
    }

    public var treatsParametersAlike: Bool { true }

    public func transform(_ block: inout some GradientBlock) { block.zeroNonFinite() }
}

extension ZeroNonFinite: DescribedStage {}
