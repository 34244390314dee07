public import DescentCore

/// Adam with decoupled weight decay, as PyTorch defines it.
///
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * g * g
///     p = p * (1 - learningRate * weightDecay)
///     p = p - learningRate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
///
/// With AMSGrad, the largest v so far stands in the denominator. t counts applied steps from 1. State: 8 bytes an
/// element, 12 with AMSGrad. Loshchilov and Hutter, "Decoupled weight decay regularization" (2019); Kingma and Ba,
/// "Adam" (2015); Reddi, Kale and Kumar, "On the convergence of Adam and beyond" (2018).
public struct AdamW: Optimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Float
    /// The decay of the second moment.
    public var beta2: Float
    /// What keeps the denominator from 0.
    public var epsilon: Float
    public var weightDecay: Float
    /// Whether the denominator is made of the largest second moment so far.
    public var amsgrad: Bool
    /// How moments are stored: float32, or bfloat16 for half the memory.
    public var moments: ElementType
    public var groups: [ParameterGroup]
    private var rule: AdamRule?

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and above 0, or a schedule of such.
    ///   - beta1: The decay of the first moment, in 0..<1.
    ///   - beta2: The decay of the second moment, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and above 0.
    ///   - weightDecay: The share of a parameter, times the learning rate, that a step takes away; at least 0.
    ///   - amsgrad: Whether to use the largest second moment so far.
    ///   - moments: How moments are stored: float32, or bfloat16 for half the memory.
    ///   - groups: Rates for some of the parameters, such as `.vectorsWithoutDecay`.
    public init(
        learningRate: Schedule = 0.001, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8,
        weightDecay: Float = 0.01, amsgrad: Bool = false, moments: ElementType = .float32,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.amsgrad = amsgrad
        self.moments = moments
        self.groups = groups
    }

    public var slots: [Slot] {
        (["first moment", "second moment"] + (amsgrad ? ["largest second moment"] : [])).map { Slot($0, moments) }
    }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireDecay(beta1, "beta1", of: name)
        try requireDecay(beta2, "beta2", of: name)
        try DescentError.requirePositive(epsilon, "epsilon", of: name)
        try DescentError.require(
            moments != .float16, name, "moments of float16 lose small squares; use bfloat16, which has float32's range."
        )
    }

    public mutating func prepare(appliedSteps: Int) {
        rule = AdamRule(
            beta1: beta1, beta2: beta2, epsilon: epsilon, amsgrad: amsgrad, decouplesWeightDecay: true,
            step: appliedSteps)
    }

    public func update(_ block: inout some UpdateBlock) {
        if let rule { block.apply(rule) }
    }
}
