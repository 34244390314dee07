import DescentCore

/// What optimizers of Adam's family make of their settings for one group of parameters.
///
///     m = beta1 * m + (1 - beta1) * g
///     v = beta2 * v + (1 - beta2) * g * g
///
/// Each factor is formed in Double and rounded once. Moments below 1.2e-38 are flushed to 0, and an epsilon too small for
/// that counts as `denominatorEpsilon(_:takingUp:)` says.
struct MomentRule: Sendable {
    /// The decays, as they were set.
    let decays: (first: Double, second: Double)
    /// The epsilon, as it was set.
    let givenEpsilon: Float
    let beta1: Float
    let oneMinusBeta1: Float
    let beta2: Float
    let oneMinusBeta2: Float
    let epsilon: Float
    let maximize: Bool
    /// Whether this is the first update of its parameters.
    private(set) var isFirst = true
    /// One over 1 - beta1^t, with t counting updates from 1.
    private(set) var firstCorrection = 1.0
    /// One over 1 - beta2^t.
    private(set) var secondCorrection = 1.0

    init(beta1: Double, beta2: Double, epsilon: Float, maximize: Bool) {
        decays = (beta1, beta2)
        givenEpsilon = epsilon
        (self.beta1, oneMinusBeta1) = (Float(beta1), Float(1 - beta1))
        (self.beta2, oneMinusBeta2) = (Float(beta2), Float(1 - beta2))
        self.epsilon = .denominatorEpsilon(epsilon, takingUp: 1 - beta2)
        self.maximize = maximize
        prepare(appliedSteps: 0)
    }

    /// Makes this the rule for the update that follows so many others.
    mutating func prepare(appliedSteps: Int) {
        isFirst = appliedSteps == 0
        firstCorrection = 1 / (1 - ReproducibleMath.power(decays.first, appliedSteps + 1))
        secondCorrection = 1 / (1 - ReproducibleMath.power(decays.second, appliedSteps + 1))
    }

    /// One over the first moment's bias, and over the root of the second's, as formulas multiply by them.
    var correction: Float { Float(firstCorrection) }
    var rootCorrection: Float { Float(secondCorrection.squareRoot()) }

    /// A rule of elements with these moments, and numbers of its own behind theirs.
    func elementwise(
        _ kernel: ElementwiseRule.Kernel, decay: Float, epsilon: Float? = nil, _ n0: Float, _ n1: Float = 0,
        _ n2: Float = 0, _ n3: Float = 0, _ n4: Float = 0
    ) -> ElementwiseRule {
        ElementwiseRule(
            kernel, gradientFactor: maximize.gradientSign, decay, beta1, oneMinusBeta1, beta2, oneMinusBeta2,
            epsilon ?? self.epsilon, n0, n1, n2, n3, n4)
    }

    /// The first moment, with a gradient taken up.
    @inline(__always)
    func first(_ moment: Float, _ gradient: Float) -> Float { (beta1 * moment + oneMinusBeta1 * gradient).flushed }

    /// The second moment, with a gradient taken up.
    @inline(__always)
    func second(_ moment: Float, _ gradient: Float) -> Float {
        (beta2 * moment + (oneMinusBeta2 * gradient) * gradient).flushed
    }
}

/// The settings of an optimizer that has a rule of two moments.
protocol MomentOptimizer: Optimizer {
    var beta1: Double { get }
    var beta2: Double { get }
    var epsilon: Float { get }
    var maximize: Bool { get }
}

extension MomentOptimizer {
    /// The rule of parameters that no group gives settings.
    var usualRule: MomentRule { MomentRule(beta1: beta1, beta2: beta2, epsilon: epsilon, maximize: maximize) }

    /// The rules of all parameters, checked, each with what an optimizer makes of it.
    func rules<Rule>(
        in layout: ParameterLayout, _ makeRule: (MomentRule) -> Rule
    ) throws(DescentError) -> GroupedRules<Rule> {
        try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
            let (beta1, beta2) = (settings.beta1 ?? self.beta1, settings.beta2 ?? self.beta2)
            let epsilon = settings.epsilon ?? self.epsilon
            try requireDecay(beta1, "beta1", of: owner)
            try requireDecay(beta2, "beta2", of: owner)
            try requireNotNegative(Double(epsilon), "epsilon", of: owner)
            return makeRule(
                MomentRule(beta1: beta1, beta2: beta2, epsilon: epsilon, maximize: settings.maximize ?? maximize))
        }
    }
}
