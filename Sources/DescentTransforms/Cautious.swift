public import DescentCore

/// Leaves out what an optimizer would move against the present gradient, and makes up for it in the rest.
///
///     u = u * g > 0 ? u * count / (agreeing + 1) : 0
///
/// u is the optimizer's update and g the gradient that it was made of; count is the number of a tensor's elements, agreeing
/// that of the elements whose update and gradient have the same sign. Where either is 0 they disagree. NaN in an update stays
/// NaN. The report holds the share that agrees, of each tensor.
///
/// Takes a sweep in which the optimizer's direction is made and the agreement counted; the next one makes it again. Stages
/// between the optimizer and this one should not multiply by factors below 0, which the count does not take into account.
/// Liang, Chen, Liu and Liu, "Cautious optimizers: improving training with one line of code" (2024).
public struct Cautious: GradientTransform {
    private static let agreement = TensorMeasurement("number of elements that agree with the gradient", degree: 0)
    /// Measured, because a tensor may be spread over processes.
    private static let size = TensorMeasurement("number of elements", degree: 0)

    /// What the elements of each tensor are multiplied by that agree.
    private var factors: [Float] = []

    /// Makes a stage.
    public init() {}

    public var order: StageOrder { .updates }
    public var requirements: [Requirement] { [.gradient, .measured(Self.agreement), .measured(Self.size)] }
    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) { factors = layout.map { _ in 1 } }

    public func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
        Double(measurement == Self.size ? block.count : block.agreeingCount())
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        for parameter in step.layout.indices where step.concerns(parameter) {
            let agreeing = step.incoming.value(Self.agreement, of: parameter)
            let count = step.incoming.value(Self.size, of: parameter)
            factors[parameter] = Float(count / (agreeing + 1))
            if count > 0 { step.record("share that agrees", agreeing / count, of: parameter) }
        }
    }

    public func transform(_ block: inout some GradientBlock) {
        block.scaleAgreeing(by: factors[block.parameterIndex])
    }
}

extension Cautious: DescribedStage {
    // There is nothing to set.
    private enum CodingKeys: CodingKey {}
}
