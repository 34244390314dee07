public import DescentCore

/// Adam's direction with the length of each tensor's own norm, for large batches, as Optax defines it.
///
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * g * g
///     u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weightDecay * p
///     p = p - learningRate * norm(p) / norm(u) * u            (ratio 1 where one of the norms is 0)
///
/// Takes one sweep more than others, over parameters and moments. State: 8 bytes an element. You et al., "Large batch
/// optimization for deep learning: training BERT in 76 minutes" (2020).
public struct LAMB: ProposingOptimizer {
    public var learningRate: Schedule
    /// The decay of the first moment.
    public var beta1: Float
    /// The decay of the second moment.
    public var beta2: Float
    /// What keeps the denominator from 0.
    public var epsilon: Float
    public var weightDecay: Float
    public var groups: [ParameterGroup]
    private var firstCorrection: Float = 1
    private var secondCorrection: Float = 1
    private var trustRatios: [Float] = []

    /// Makes an optimizer.
    ///
    /// - Parameters:
    ///   - learningRate: The step size relative to each tensor's norm, finite and above 0, or a schedule of such.
    ///   - beta1: The decay of the first moment, in 0..<1.
    ///   - beta2: The decay of the second moment, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, finite and above 0.
    ///   - weightDecay: What the parameter adds to its update, finite and at least 0.
    ///   - groups: Rates for some of the parameters.
    public init(
        learningRate: Schedule = 0.001, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-6,
        weightDecay: Float = 0, groups: [ParameterGroup] = []
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.groups = groups
    }

    public var slots: [Slot] { ["first moment", "second moment"] }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try requireDecay(beta1, "beta1", of: name)
        try requireDecay(beta2, "beta2", of: name)
        try DescentError.requirePositive(epsilon, "epsilon", of: name)
        trustRatios = [Float](repeating: 1, count: layout.count)
    }

    public mutating func prepare(appliedSteps: Int) {
        firstCorrection = Float(1 / (1 - ReproducibleMath.power(Double(beta1), appliedSteps + 1)))
        secondCorrection = Float((1 / (1 - ReproducibleMath.power(Double(beta2), appliedSteps + 1))).squareRoot())
    }

    public func propose(_ block: inout some UpdateBlock) {
        let decay = block.rates.weightDecay
        block.proposeEach { gradient, parameter, first, second in
            first = (beta1 * first + (1 - beta1) * gradient).flushed
            second = (beta2 * second + ((1 - beta2) * gradient) * gradient).flushed
            gradient = direction(first, second) + decay * parameter
        }
    }

    public mutating func decide(updateNorms: [Double], parameterNorms: [Double]) {
        for index in trustRatios.indices {
            let isDefined = updateNorms[index] > 0 && parameterNorms[index] > 0
            trustRatios[index] = isDefined ? Float(parameterNorms[index] / updateNorms[index]) : 1
        }
    }

    public func update(_ block: inout some UpdateBlock) {
        let rate = block.rates.learningRate * trustRatios[block.parameterIndex]
        let decay = block.rates.weightDecay
        block.updateEach { _, parameter, first, second in
            parameter -= rate * (direction(first, second) + decay * parameter)
        }
    }

    private func direction(_ first: Float, _ second: Float) -> Float {
        (first * firstCorrection) / (ReproducibleMath.squareRoot(second) * secondCorrection + epsilon)
    }
}
