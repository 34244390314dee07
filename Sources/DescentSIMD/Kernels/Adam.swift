import DescentCore

extension PortableKernels {
    /// One step of Adam or AdamW; see ``DescentCore/AdamRule`` for the formula.
    static func adam(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
        largest: UnsafeMutablePointer<Float>?, _ step: AdamRule.Coefficients
    ) {
        let (source, factor) = (gradient.source, gradient.factor)
        gradient.forEachStretch { offset, count, shift in
            if let largest {
                for index in offset..<offset + count {
                    let decayed = (factor * source[index] + shift) + step.coupledDecay * parameters[index]
                    let square = moments(decayed, &first[index], &second[index], step)
                    let denominator = largest[index] > square ? largest[index] : square
                    largest[index] = denominator
                    move(&parameters[index], first[index], denominator, step)
                }
            } else {
                for index in offset..<offset + count {
                    let decayed = (factor * source[index] + shift) + step.coupledDecay * parameters[index]
                    let square = moments(decayed, &first[index], &second[index], step)
                    move(&parameters[index], first[index], square, step)
                }
            }
        }
    }

    @inline(__always)
    private static func moments(
        _ gradient: Float, _ first: inout Float, _ second: inout Float, _ step: AdamRule.Coefficients
    ) -> Float {
        first = (step.beta1 * first + step.oneMinusBeta1 * gradient).flushed
        let square = (step.beta2 * second + (step.oneMinusBeta2 * gradient) * gradient).flushed
        second = square
        return square
    }

    @inline(__always)
    private static func move(
        _ parameter: inout Float, _ moment: Float, _ square: Float, _ step: AdamRule.Coefficients
    ) {
        let root = square.squareRoot() * step.secondCorrection + step.epsilon
        parameter = parameter * step.decoupledFactor - step.rate * (moment / root)
    }
}
