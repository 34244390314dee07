/// The arithmetic of Lion for one step, as Optax defines it.
///
///     c = sign(beta1 * m + (1 - beta1) * g)           (g = -g first, where maximizing)
///     m = beta2 * m + (1 - beta2) * g
///     p = p - learningRate * (c + weightDecay * p)
///
/// As a direction: what the learning rate is multiplied by. The sign of 0 is 0 and that of NaN is NaN; a moment below
/// 1.2e-38 becomes 0. Each factor is formed in Double and rounded once. Chen et al., "Symbolic discovery of optimization
/// algorithms" (2023).
public struct LionRule: Sendable {
    /// The share of the moment in the direction of a step.
    public var beta1: Double
    /// The decay of the moment.
    public var beta2: Double
    /// Whether to climb along the gradient.
    public var maximize: Bool

    /// Makes a rule.
    ///
    /// - Parameters:
    ///   - beta1: The share of the moment in the direction of a step, in 0..<1.
    ///   - beta2: The decay of the moment, in 0..<1.
    ///   - maximize: Whether to climb.
    public init(beta1: Double, beta2: Double, maximize: Bool = false) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.maximize = maximize
    }
}

extension UpdateBlock {
    public mutating func apply(_ rule: LionRule) {
        makeDirection(rule)
        moveParameters()
    }

    public mutating func makeDirection(_ rule: LionRule) {
        let (beta1, oneMinusBeta1) = (Float(rule.beta1), Float(1 - rule.beta1))
        let (beta2, oneMinusBeta2) = (Float(rule.beta2), Float(1 - rule.beta2))
        let decay = rates.weightDecay
        if rule.maximize { scale(by: -1) }
        directEach { gradient, parameter, moment in
            let mixture = beta1 * moment + oneMinusBeta1 * gradient
            moment = (beta2 * moment + oneMinusBeta2 * gradient).flushed
            let sign: Float = mixture > 0 ? 1 : mixture < 0 ? -1 : mixture
            gradient = sign + decay * parameter
        }
    }
}
