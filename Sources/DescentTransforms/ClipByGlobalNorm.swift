public import DescentCore

/// Clips all tensors together by the norm n of all their elements: g * min(1, maximum / (n + epsilon)).
///
/// The direction of the gradient stays what it was; a zero gradient stays zero. Pascanu, Mikolov and Bengio, "On the
/// difficulty of training recurrent neural networks" (2013); PyTorch's `clip_grad_norm_`.
public struct ClipByGlobalNorm: GradientScaling {
    /// The largest norm the gradient may keep.
    public var maximum: Schedule
    /// Which norm.
    public var norm: Norm
    /// What is added to the norm.
    public var epsilon: Float

    /// Clips the whole gradient.
    ///
    /// - Parameters:
    ///   - maximum: The largest norm the gradient may keep, above 0, or a schedule of such; infinity measures the norm,
    ///     for reports, and never clips. A schedule that leaves this range skips the step.
    ///   - norm: Which norm: L2, L1, L-infinity, or any p above 0.
    ///   - epsilon: What is added to the norm, finite and at least 0.
    public init(_ maximum: Schedule, norm: Norm = .l2, epsilon: Float = 1e-6) {
        self.maximum = maximum
        self.norm = norm
        self.epsilon = epsilon
    }

    /// Clips the whole gradient, to a variable of any number type.
    @_disfavoredOverload
    public init(_ maximum: some ScheduleConvertible, norm: Norm = .l2, epsilon: Float = 1e-6) {
        self.init(maximum.schedule, norm: norm, epsilon: epsilon)
    }

    public var name: String {
        norm == .l2 ? "ClipByGlobalNorm(\(maximum))" : "ClipByGlobalNorm(\(maximum), \(norm))"
    }
    public var order: StageOrder { .trueGradients }
    public var requirements: [Requirement] { [.norm(norm)] }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireThreshold(maximum, epsilon, of: name)
        try DescentError.require(norm.isValid, name, "the exponent of \(norm) has to be a finite number above 0.")
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        guard let maximum = step.value(of: maximum, "maximum", in: .threshold) else { return }
        step.clip(
            step.layout.indices, norm: step.incoming.norm(norm), to: maximum, epsilon: epsilon, kind: norm)
    }
}

extension ClipByGlobalNorm: DescribedStage {
    private enum CodingKeys: CodingKey { case maximum, norm, epsilon }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(1))
        try self.init(
            settings.value(.maximum), norm: settings.value(.norm, or: usual.norm),
            epsilon: settings.value(.epsilon, or: usual.epsilon))
    }
}
