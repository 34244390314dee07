import DescentCore

/// The numbers that a step of stochastic gradient descent needs for one parameter's rates.
struct SGDCoefficients {
    /// -1 to climb, 1 to descend.
    let sign: Float
    let rate: Float
    let decay: Float
    /// What the velocity keeps of itself, and takes of the gradient.
    let kept: Float
    let taken: Float
    let momentum: Float
    /// Whether the step is the gradient and the velocity to come, instead of the velocity.
    let looksAhead: Bool

    init(_ rule: SGDRule, _ rates: UpdateRates) {
        sign = rule.maximize ? -1 : 1
        rate = rates.learningRate
        decay = rates.weightDecay
        (kept, taken) = rule.isFirst ? (0, 1) : (Float(rule.momentum), Float(1 - rule.dampening))
        momentum = Float(rule.momentum)
        looksAhead = rule.nesterov
    }
}
