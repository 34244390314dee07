public import DescentCore

/// Sets NaN and infinities to 0 and lets the step be applied; the report says how many there were.
///
/// Behind it, gradients count as finite. An `Unscale` before it still skips the step.
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
