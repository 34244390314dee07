/// The arithmetic of stochastic gradient descent for one step, as PyTorch defines it.
///
///     g = g + weightDecay * p               (g = -g first, where maximizing)
///     v = momentum * v + (1 - dampening) * g        (v = g in the first step)
///     p = p - learningRate * (nesterov ? g + momentum * v : v)
///
/// As a direction: what the learning rate is multiplied by. Without momentum, v is g and no slot is used. Each factor is formed in Double and rounded once.
public struct SGDRule: Sendable {
    /// The share of the velocity that remains.
    public var momentum: Double
    /// The share of the gradient that the velocity does not take up.
    public var dampening: Double
    /// Whether the update looks ahead along the velocity.
    public var nesterov: Bool
    /// Whether parameters climb along the gradient.
    public var maximize: Bool
    /// Whether this is the first applied step, in which the velocity is the gradient itself.
    public var isFirst: Bool

    /// Makes a rule.
    public init(momentum: Double, dampening: Double, nesterov: Bool, maximize: Bool, isFirst: Bool) {
        self.momentum = momentum
        self.dampening = dampening
        self.nesterov = nesterov
        self.maximize = maximize
        self.isFirst = isFirst
    }
}

extension Float {
    /// This number, or 0 where its magnitude is below the smallest normal number, 2^-126 or about 1.2e-38.
    ///
    /// Moments of gradients that stay 0 decay into subnormal numbers, and arithmetic on those is up to a hundred times
    /// slower. Optimizers flush what they keep, so that it is the same on every processor.
    @inlinable public var flushed: Float { magnitude < .leastNormalMagnitude ? 0 : self }

    /// An epsilon that keeps a quotient with a flushed mean of squares in its denominator from growing without bound.
    ///
    /// A mean of squares that takes up `share` of each square is flushed to 0 where the gradient is below
    /// 2^-63 / sqrt(share), 3.4e-18 for Adam's 0.001. An epsilon far below that would then be all of the denominator:
    /// with 1e-30 a gradient of 2.5e-18 would make a step of 2.5e12 learning rates, and with 0 an infinite one, or NaN
    /// for a gradient of 0. So it counts as no less than that gradient: smaller ones make smaller steps.
    ///
    /// - Parameters:
    ///   - epsilon: What is added to the root of the mean of squares, finite and at least 0.
    ///   - share: What the mean takes up of each square, above 0 and up to 1.
    /// - Returns: The larger of `epsilon` and 2^-63 / sqrt(share).
    public static func denominatorEpsilon(_ epsilon: Float, takingUp share: Double) -> Float {
        max(epsilon, Float(0x1p-63 / share.squareRoot()))
    }
}

/// The arithmetic of Adam and AdamW for one step, as PyTorch defines it.
///
///     g = g + weightDecay * p                       (Adam: coupled decay; g = -g first, where maximizing)
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * g * g
///     d = sqrt(v / (1 - beta2^t)) + epsilon         (AMSGrad: of the largest v so far)
///     p = p * (1 - learningRate * weightDecay)      (AdamW: decoupled decay)
///     p = p - learningRate / (1 - beta1^t) * m / d
///
/// As a direction: u = m / (1 - beta1^t) / d, and with decoupled decay u = u + weightDecay * p.
///
/// Slots: m, v and, for AMSGrad, the largest v. Moments below 1.2e-38 are flushed to 0, and an epsilon too small for
/// that counts as `denominatorEpsilon(_:takingUp:)` says. Each factor is formed in Double and rounded once.
public struct AdamRule: Sendable {
    /// The decay of the first moment.
    public var beta1: Double
    /// The decay of the second moment.
    public var beta2: Double
    /// What keeps the denominator from 0.
    public var epsilon: Float
    /// Whether the denominator is made of the largest second moment so far.
    public var amsgrad: Bool
    /// Whether the decay shrinks the parameters (AdamW) instead of entering the gradient (Adam).
    public var decouplesWeightDecay: Bool
    /// Whether parameters climb along the gradient.
    public var maximize: Bool
    /// One over 1 - beta1^t, with t counting applied steps from 1.
    public private(set) var firstCorrection = 1.0
    /// One over the root of 1 - beta2^t.
    public private(set) var secondCorrection = 1.0
    /// What an epsilon below it counts as.
    private var smallestEpsilon: Float = 0

    /// Makes the rule for an applied step.
    ///
    /// - Parameters:
    ///   - beta1: The decay of the first moment, in 0..<1.
    ///   - beta2: The decay of the second moment, in 0..<1.
    ///   - epsilon: What keeps the denominator from 0, at least 0.
    ///   - amsgrad: Whether to use the largest second moment so far.
    ///   - decouplesWeightDecay: AdamW's decay instead of Adam's.
    ///   - maximize: Whether to climb.
    ///   - step: The number of steps applied before this one.
    public init(
        beta1: Double, beta2: Double, epsilon: Float, amsgrad: Bool, decouplesWeightDecay: Bool, maximize: Bool = false,
        step: Int = 0
    ) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.amsgrad = amsgrad
        self.decouplesWeightDecay = decouplesWeightDecay
        self.maximize = maximize
        prepare(step: step)
    }

    /// Makes this the rule for the step that follows so many applied ones.
    public mutating func prepare(step: Int) {
        firstCorrection = 1 / (1 - ReproducibleMath.power(beta1, step + 1))
        secondCorrection = (1 / (1 - ReproducibleMath.power(beta2, step + 1))).squareRoot()
        smallestEpsilon = .denominatorEpsilon(0, takingUp: 1 - beta2)
    }

    /// The numbers that a kernel needs, for one parameter's rates.
    public struct Coefficients: Sendable {
        /// The decay of the first moment.
        public let beta1: Float
        /// What the gradient adds to the first moment.
        public let oneMinusBeta1: Float
        /// The decay of the second moment.
        public let beta2: Float
        /// What the squared gradient adds to the second moment.
        public let oneMinusBeta2: Float
        /// What keeps the denominator from 0.
        public let epsilon: Float
        /// One over the root of the second moment's bias.
        public let secondCorrection: Float
        /// The learning rate over the first moment's bias.
        public let rate: Float
        /// What the parameter adds to the gradient (Adam), or 0.
        public let coupledDecay: Float
        /// What the parameter is multiplied by (AdamW), or 1.
        public let decoupledFactor: Float
        /// One over the first moment's bias.
        public let firstCorrection: Float
        /// What the parameter adds to the direction (AdamW), or 0.
        public let decoupledDecay: Float
    }

    /// Resolves the rule for one parameter's rates.
    public func coefficients(for rates: UpdateRates) -> Coefficients {
        Coefficients(
            beta1: Float(beta1), oneMinusBeta1: Float(1 - beta1), beta2: Float(beta2), oneMinusBeta2: Float(1 - beta2),
            epsilon: max(epsilon, smallestEpsilon), secondCorrection: Float(secondCorrection),
            rate: Float(Double(rates.learningRate) * firstCorrection),
            coupledDecay: decouplesWeightDecay ? 0 : rates.weightDecay,
            decoupledFactor: decouplesWeightDecay
                ? Float(1 - Double(rates.learningRate) * Double(rates.weightDecay)) : 1,
            firstCorrection: Float(firstCorrection), decoupledDecay: decouplesWeightDecay ? rates.weightDecay : 0)
    }
}
