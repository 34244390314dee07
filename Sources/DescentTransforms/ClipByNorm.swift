public import DescentCore

/// Clips each tensor by its own L2 norm n: g * min(1, maximum / (n + epsilon)).
///
/// A zero gradient stays zero.
public struct ClipByNorm: GradientScaling {
    /// The largest norm a tensor may keep.
    public var maximum: Schedule
    /// What is added to the norm.
    public var epsilon: Float
    private var tensors = ParameterGroups()

    /// Clips each tensor.
    ///
    /// - Parameters:
    ///   - maximum: The largest norm a tensor may keep, above 0, or a schedule of such; infinity measures the norms, for
    ///     reports, and never clips. A schedule that leaves this range skips the step.
    ///   - epsilon: What is added to the norm, finite and at least 0.
    public init(_ maximum: Schedule, epsilon: Float = 1e-6) {
        self.maximum = maximum
        self.epsilon = epsilon
    }

    /// Clips each tensor, to a variable of any number type.
    @_disfavoredOverload public init(_ maximum: some ScheduleConvertible, epsilon: Float = 1e-6) {
        self.init(maximum.schedule, epsilon: epsilon)
    }

    public var name: String { "ClipByNorm(\(maximum))" }
    public var order: StageOrder { .trueGradients }
    public var requirements: [Requirement] { [.norm(.l2)] }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireThreshold(maximum, epsilon, of: name)
        tensors = ParameterGroups(of: layout, by: \.name)
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        guard let maximum = step.value(of: maximum, "maximum", in: .threshold) else { return }
        step.clip(tensors, epsilon: epsilon) { _ in maximum }
    }
}

extension ClipByNorm: DescribedStage {
    private enum CodingKeys: CodingKey { case maximum, epsilon }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(1))
        try self.init(settings.value(.maximum), epsilon: settings.value(.epsilon, or: usual.epsilon))
    }
}
