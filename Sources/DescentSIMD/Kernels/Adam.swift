import DescentCore

extension Kernels {
    /// One step of Adam or AdamW; see ``DescentCore/AdamRule`` for the formula.
    static func adam(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
        largest: UnsafeMutablePointer<Float>?, _ step: AdamRule.Coefficients
    ) {
        let (source, factor) = (gradient.source, gradient.factor)
        gradient.forEachStretch { offset, count, shift in
            for index in offset..<offset + count {
                let parameter = parameters[index]
                let decayed = (factor * source[index] + shift) + step.coupledDecay * parameter
                let moment = step.beta1 * first[index] + step.oneMinusBeta1 * decayed
                let square = step.beta2 * second[index] + (step.oneMinusBeta2 * decayed) * decayed
                first[index] = moment
                second[index] = square
                var denominator = square
                if let largest {
                    denominator = largest[index] > square ? largest[index] : square
                    largest[index] = denominator
                }
                let root = denominator.squareRoot() * step.secondCorrection + step.epsilon
                parameters[index] = parameter * step.decoupledFactor - step.rate * (moment / root)
            }
        }
    }
}
