public import DescentCore

/// Adagrad, as PyTorch defines it.
///
///     g = g + weightDecay * p
///     s = s + g * g                         (s = initialAccumulator at first)
///     p = p - learningRate / (1 + (t - 1) * learningRateDecay) * g / (sqrt(s) + epsilon)
///
/// t counts applied steps from 1. State: 4 bytes an element. Duchi, Hazan and Singer, "Adaptive subgradient methods
/// for online learning and stochastic optimization" (2011).
public struct Adagrad: Optimizer {
    public var learningRate: Schedule
    /// How fast the step size falls with the number of steps.
    public var learningRateDecay: Float
    /// What the sum of squares starts with.
    public var initialAccumulator: Float
    /// What keeps the denominator from 0.
    public var epsilon: Float
    public var weightDecay: Float
    public var groups: [ParameterGroup]
    private var rateFactor: Float = 1
    private var start: Float = 0

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and above 0, or a schedule of such.
    ///   - learningRateDecay: How fast it falls with the number of steps, finite and at least 0.
    ///   - initialAccumulator: What the sum of squares starts with, finite and at least 0.
    ///   - epsilon: What keeps the denominator from 0, finite and above 0.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0.
    ///   - groups: Rates for some of the parameters.
    public init(
        learningRate: Schedule = 0.01, learningRateDecay: Float = 0, initialAccumulator: Float = 0,
        epsilon: Float = 1e-10, weightDecay: Float = 0, groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.learningRateDecay = learningRateDecay
        self.initialAccumulator = initialAccumulator
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.groups = groups
    }

    public var slots: [Slot] { ["sum of squares"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.requirePositive(epsilon, "epsilon", of: name)
        try DescentError.require(
            learningRateDecay.isFinite && learningRateDecay >= 0, name,
            "learningRateDecay is \(learningRateDecay); it has to be a finite number of at least 0.")
        try DescentError.require(
            initialAccumulator.isFinite && initialAccumulator >= 0, name,
            "initialAccumulator is \(initialAccumulator); it has to be a finite number of at least 0.")
    }

    public mutating func prepare(appliedSteps: Int) {
        rateFactor = Float(1 / (1 + Double(appliedSteps) * Double(learningRateDecay)))
        start = appliedSteps == 0 ? initialAccumulator : 0
    }

    public func update(_ block: inout some UpdateBlock) {
        let (rate, decay, start) = (block.rates.learningRate * rateFactor, block.rates.weightDecay, start)
        block.updateEach { gradient, parameter, sum in
            let decayed = gradient + decay * parameter
            sum = (start + sum) + decayed * decayed
            parameter -= rate * (decayed / (ReproducibleMath.squareRoot(sum) + epsilon))
        }
    }
}
