import DescentCore

extension Kernels {
    /// One step of stochastic gradient descent; see ``DescentCore/SGDRule`` for the formula.
    static func sgd(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        velocity: UnsafeMutablePointer<Float>?, _ rule: SGDRule, _ rates: UpdateRates
    ) {
        let source = gradient.source
        let sign: Float = rule.maximize ? -1 : 1
        let factor = sign * gradient.factor
        let (rate, decay, momentum) = (rates.learningRate, rates.weightDecay, rule.momentum)
        let (kept, taken): (Float, Float) = rule.isFirst ? (0, 1) : (momentum, 1 - rule.dampening)
        let (ofGradient, ofVelocity): (Float, Float) = rule.nesterov ? (1, momentum) : (0, 1)
        gradient.forEachStretch { offset, count, shift in
            let shift = sign * shift
            guard let velocity else {
                for index in offset..<offset + count {
                    let decayed = (factor * source[index] + shift) + decay * parameters[index]
                    parameters[index] -= rate * decayed
                }
                return
            }
            for index in offset..<offset + count {
                let decayed = (factor * source[index] + shift) + decay * parameters[index]
                let moved = (kept * velocity[index] + taken * decayed).flushed
                velocity[index] = moved
                parameters[index] -= rate * (ofGradient * decayed + ofVelocity * moved)
            }
        }
    }
}
