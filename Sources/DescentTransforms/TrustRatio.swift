public import DescentCore

/// Gives each parameter's update a length in proportion to the parameter, behind an optimizer.
///
///     u = u * norm(p) / norm(u)             (ratio 1 where one of the norms is 0)
///
/// Norms are L2 norms of whole tensors. Takes a sweep in which the optimizer's direction is made and measured; the next one
/// makes it again. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes" (2020), where it
/// stands behind Adam (LAMB).
public struct TrustRatio: GradientScaling {
    /// The smallest ratio, at least 0.
    public var minimum: Float
    /// The largest ratio; infinity for none.
    public var maximum: Float

    /// Makes a stage.
    ///
    /// - Parameters:
    ///   - minimum: The smallest ratio that the update is multiplied by, finite and at least 0.
    ///   - maximum: The largest one, at least `minimum`; infinity for none.
    public init(minimum: Float = 0, maximum: Float = .infinity) {
        self.minimum = minimum
        self.maximum = maximum
    }

    public var order: StageOrder { .updates }
    public var requirements: [Requirement] { [.norm(.l2), .parameterNorm(.l2)] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(
            minimum.isFinite && minimum >= 0, name, "minimum is \(minimum); it has to be a finite number of at least 0."
        )
        try DescentError.require(maximum >= minimum, name, "maximum is \(maximum), below the minimum of \(minimum).")
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        for parameter in step.layout.indices {
            let (update, length) = (
                step.incoming.norm(.l2, of: parameter), step.incoming.parameterNorm(.l2, of: parameter)
            )
            guard update > 0, length > 0 else { continue }
            let ratio = min(max(length / update, Double(minimum)), Double(min(maximum, .greatestFiniteMagnitude)))
            step.scale(parameter, by: ratio)
            if step.concerns(parameter) { step.record("trust ratio", ratio, of: parameter) }
        }
    }
}

extension TrustRatio: DescribedTransform {
    private enum CodingKeys: CodingKey { case minimum, maximum }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            minimum: settings.value(.minimum, or: usual.minimum), maximum: settings.value(.maximum, or: usual.maximum))
    }
}
