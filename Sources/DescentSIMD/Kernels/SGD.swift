import DescentCore

extension PortableKernels {
    /// One step of stochastic gradient descent; see `SGDRule` for the formula.
    static func sgd(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        velocity: UnsafeMutablePointer<Float>?, _ step: SGDCoefficients
    ) {
        let gradient = gradient.with(factor: step.sign * gradient.factor)
        let (source, factor) = (gradient.floats, gradient.factor)
        gradient.forEachShift { offset, count, shift in
            guard let velocity else {
                for index in offset..<offset + count {
                    let decayed = (factor * source[index] + shift) + step.decay * parameters[index]
                    parameters[index] -= step.rate * decayed
                }
                return
            }
            for index in offset..<offset + count {
                let decayed = (factor * source[index] + shift) + step.decay * parameters[index]
                let moved = (step.kept * velocity[index] + step.taken * decayed).flushed
                velocity[index] = moved
                let direction = step.looksAhead ? decayed + step.momentum * moved : moved
                parameters[index] = parameters[index] - step.rate * direction
            }
        }
    }
}

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
