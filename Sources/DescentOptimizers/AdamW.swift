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
///
/// Moments below 1.2e-38 are flushed to 0, and an epsilon below 2^-63 / sqrt(1 - beta2), 3.4e-18 by default, counts as
/// that much: gradients smaller than it make smaller steps than PyTorch's, and a gradient of 0 makes none.
public struct AdamW: Optimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Double
    /// The decay of the second moment.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
    public var weightDecay: Float
    /// Whether the denominator is made of the largest second moment so far.
    public var amsgrad: Bool
    /// How moments are stored: float32, or bfloat16 for half the memory.
    public var moments: ElementType
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var rules: GroupedRules<AdamRule>

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and at least 0, or a schedule of such.
    ///   - beta1: The decay of the first moment, in 0..<1.
    ///   - beta2: The decay of the second moment, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and at least 0.
    ///   - weightDecay: The share of a parameter, times the learning rate, that a step takes away; at least 0.
    ///   - amsgrad: Whether to use the largest second moment so far.
    ///   - moments: How moments are stored: float32, or bfloat16 for half the memory.
    ///   - maximize: Whether to climb: g = -g first.
    ///   - groups: Settings for some of the parameters, such as `.vectorsWithoutDecay`.
    public init(
        learningRate: Schedule = 0.001, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Float = 1e-8,
        weightDecay: Float = 0.01, amsgrad: Bool = false, moments: ElementType = .float32,
        maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.amsgrad = amsgrad
        self.moments = moments
        self.maximize = maximize
        self.groups = groups
        rules = GroupedRules(
            AdamRule(beta1: beta1, beta2: beta2, epsilon: epsilon, amsgrad: amsgrad, decouplesWeightDecay: true))
    }

    public var groupSettings: [GroupSettings.Name] { [.beta1, .beta2, .epsilon, .maximize] }
    public var slots: [Slot] {
        (["first moment", "second moment"] + (amsgrad ? ["largest second moment"] : [])).map { Slot($0, moments) }
    }

    private var usualRule: AdamRule {
        AdamRule(
            beta1: beta1, beta2: beta2, epsilon: epsilon, amsgrad: amsgrad, decouplesWeightDecay: true,
            maximize: maximize)
    }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        rules = try adamRules(usualRule, groups, of: name, in: layout)
        try DescentError.require(
            moments != .float16, name, "moments of float16 lose small squares; use bfloat16, which has float32's range."
        )
    }

    public mutating func prepare(appliedSteps: Int) {
        rules.updateEach { $0.prepare(step: appliedSteps) }
    }

    public func update(_ block: inout some UpdateBlock) {
        block.apply(rules[block.parameterIndex])
    }
}
