public import DescentCore

/// Divides the gradient by its global L2 norm n: g / (n + epsilon).
///
/// A zero gradient stays zero.
public struct Normalize: GradientScaling {
    /// What is added to the norm.
    public var epsilon: Float

    /// Normalizes gradients.
    ///
    /// - Parameter epsilon: What is added to the norm, finite and above 0.
    public init(epsilon: Float = 1e-6) { self.epsilon = epsilon }

    public var order: StageOrder { .trueGradients }
    public var requirements: [Requirement] { [.norm(.l2)] }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.requirePositive(epsilon, "epsilon", of: name)
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        step.scale(by: Float(1 / (step.incoming.norm(.l2) + Double(epsilon))))
    }
}

extension Normalize: DescribedStage {
    private enum CodingKeys: CodingKey { case epsilon }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(epsilon: settings.value(.epsilon, or: usual.epsilon))
    }
}
