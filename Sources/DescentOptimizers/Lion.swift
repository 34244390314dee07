public import DescentCore

/// Lion, as Optax defines it.
///
///     c = sign(beta1 * m + (1 - beta1) * g)
///     m = beta2 * m + (1 - beta2) * g
///     p = p - learningRate * (c + weightDecay * p)
///
/// State: 4 bytes an element. Chen et al., "Symbolic discovery of optimization algorithms" (2023).
public struct Lion: Optimizer {
    public var learningRate: Schedule
    /// The share of the moment in the direction of a step.
    public var beta1: Float
    /// The decay of the moment.
    public var beta2: Float
    public var weightDecay: Float
    public var groups: [ParameterGroup]

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and above 0, or a schedule of such; about a tenth of AdamW's.
    ///   - beta1: The share of the moment in the direction of a step, in 0..<1.
    ///   - beta2: The decay of the moment, in 0..<1.
    ///   - weightDecay: The share of a parameter, times the learning rate, that a step takes away; at least 0.
    ///   - groups: Rates for some of the parameters.
    public init(
        learningRate: Schedule = 0.0001, beta1: Float = 0.9, beta2: Float = 0.99, weightDecay: Float = 0,
        groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.weightDecay = weightDecay
        self.groups = groups
    }

    public var slots: [Slot] { ["moment"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireDecay(beta1, "beta1", of: name)
        try requireDecay(beta2, "beta2", of: name)
    }

    public func update(_ block: inout some UpdateBlock) {
        let (rate, decay) = (block.rates.learningRate, block.rates.weightDecay)
        block.updateEach { gradient, parameter, moment in
            let direction = beta1 * moment + (1 - beta1) * gradient
            moment = (beta2 * moment + (1 - beta2) * gradient).flushed
            let sign: Float = direction > 0 ? 1 : direction < 0 ? -1 : direction
            parameter -= rate * (sign + decay * parameter)
        }
    }
}
