public import DescentCore

/// Stochastic gradient descent, with momentum if wanted, as PyTorch defines it.
///
///     g = g + weightDecay * p               (g = -g first, where maximizing)
///     v = momentum * v + (1 - dampening) * g        (v = g in the first step)
///     p = p - learningRate * (nesterov ? g + momentum * v : v)
///
/// State: 4 bytes an element with momentum, none without. Sutskever, Martens, Dahl and Hinton, "On the importance of
/// initialization and momentum in deep learning" (2013).
public struct SGD: Optimizer {
    public var learningRate: Schedule
    /// The share of the velocity that remains after a step.
    public var momentum: Float
    /// The share of the gradient that the velocity does not take up.
    public var dampening: Float
    /// Whether the update looks ahead along the velocity.
    public var nesterov: Bool
    public var weightDecay: Float
    /// Whether parameters climb along the gradient instead of descending.
    public var maximize: Bool
    public var groups: [ParameterGroup]
    private var isFirst = true

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and above 0, or a schedule of such.
    ///   - momentum: The share of the velocity that remains, in 0..<1; 0 keeps no velocity.
    ///   - dampening: The share of the gradient that the velocity does not take up, in 0...1.
    ///   - nesterov: Whether to look ahead; needs momentum and no dampening.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0.
    ///   - maximize: Whether to climb.
    ///   - groups: Rates for some of the parameters.
    public init(
        learningRate: Schedule, momentum: Float = 0, dampening: Float = 0, nesterov: Bool = false,
        weightDecay: Float = 0, maximize: Bool = false, groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.momentum = momentum
        self.dampening = dampening
        self.nesterov = nesterov
        self.weightDecay = weightDecay
        self.maximize = maximize
        self.groups = groups
    }

    public var slots: [Slot] { momentum == 0 ? [] : ["velocity"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require((0..<1).contains(momentum), name, "momentum is \(momentum); it has to lie in 0..<1.")
        try DescentError.require(
            (0...1).contains(dampening), name, "dampening is \(dampening); it has to lie in 0...1.")
        try DescentError.require(
            !nesterov || (momentum > 0 && dampening == 0), name, "nesterov needs a momentum above 0 and no dampening.")
    }

    public mutating func prepare(appliedSteps: Int) { isFirst = appliedSteps == 0 }

    public func update(_ block: inout some UpdateBlock) {
        block.apply(
            SGDRule(momentum: momentum, dampening: dampening, nesterov: nesterov, maximize: maximize, isFirst: isFirst))
    }
}
