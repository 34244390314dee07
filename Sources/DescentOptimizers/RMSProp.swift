public import DescentCore

/// RMSProp, as PyTorch defines it.
///
///     g = g + weightDecay * p
///     v = alpha * v + (1 - alpha) * g * g
///     d = sqrt(v) + epsilon            (centered: of v - a * a, with a = alpha * a + (1 - alpha) * g)
///     b = momentum * b + g / d         (without momentum: b = g / d)
///     p = p - learningRate * b
///
/// State: 4 bytes an element, 4 more with momentum and 4 more where centered. Tieleman and Hinton, lecture 6.5 (2012);
/// Graves, "Generating sequences with recurrent neural networks" (2013).
public struct RMSProp: Optimizer {
    public var learningRate: Schedule
    /// The decay of the mean of squares.
    public var alpha: Float
    /// What keeps the denominator from 0.
    public var epsilon: Float
    /// The share of the velocity that remains after a step.
    public var momentum: Float
    /// Whether the mean of gradients is taken out of the mean of squares.
    public var centered: Bool
    public var weightDecay: Float
    public var groups: [ParameterGroup]

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size, finite and above 0, or a schedule of such.
    ///   - alpha: The decay of the mean of squares, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and above 0.
    ///   - momentum: The share of the velocity that remains, in 0..<1; 0 keeps no velocity.
    ///   - centered: Whether to take the mean of gradients out of the mean of squares.
    ///   - weightDecay: What the parameter adds to its gradient, finite and at least 0.
    ///   - groups: Rates for some of the parameters.
    public init(
        learningRate: Schedule = 0.01, alpha: Float = 0.99, epsilon: Float = 1e-8, momentum: Float = 0,
        centered: Bool = false, weightDecay: Float = 0, groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.alpha = alpha
        self.epsilon = epsilon
        self.momentum = momentum
        self.centered = centered
        self.weightDecay = weightDecay
        self.groups = groups
    }

    public var slots: [Slot] {
        ["mean of squares"] + (momentum == 0 ? [] : ["velocity"]) + (centered ? ["mean of gradients"] : [])
    }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireDecay(alpha, "alpha", of: name)
        try requireDecay(momentum, "momentum", of: name)
        try DescentError.requirePositive(epsilon, "epsilon", of: name)
    }

    public func update(_ block: inout some UpdateBlock) {
        let (rate, decay) = (block.rates.learningRate, block.rates.weightDecay)
        switch (momentum != 0, centered) {
        case (false, false):
            block.updateEach { gradient, parameter, squares in
                parameter -= rate * direction(gradient + decay * parameter, &squares)
            }
        case (true, false):
            block.updateEach { gradient, parameter, squares, velocity in
                velocity = (momentum * velocity + direction(gradient + decay * parameter, &squares)).flushed
                parameter -= rate * velocity
            }
        case (false, true):
            block.updateEach { gradient, parameter, squares, mean in
                parameter -= rate * direction(gradient + decay * parameter, &squares, &mean)
            }
        case (true, true):
            block.updateEach { gradient, parameter, squares, velocity, mean in
                velocity = (momentum * velocity + direction(gradient + decay * parameter, &squares, &mean)).flushed
                parameter -= rate * velocity
            }
        }
    }

    private func direction(_ gradient: Float, _ squares: inout Float) -> Float {
        squares = (alpha * squares + ((1 - alpha) * gradient) * gradient).flushed
        return gradient / (ReproducibleMath.squareRoot(squares) + epsilon)
    }

    private func direction(_ gradient: Float, _ squares: inout Float, _ mean: inout Float) -> Float {
        squares = (alpha * squares + ((1 - alpha) * gradient) * gradient).flushed
        mean = (alpha * mean + (1 - alpha) * gradient).flushed
        // Rounding can make the variance of a gradient that hardly changes negative.
        let variance = max(squares - mean * mean, 0)
        return gradient / (ReproducibleMath.squareRoot(variance) + epsilon)
    }
}
