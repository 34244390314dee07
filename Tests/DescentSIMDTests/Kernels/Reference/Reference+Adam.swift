import DescentCore

@testable import DescentSIMD

extension ReferenceKernels {
    /// One step of Adam or AdamW; see `AdamRule` for the formula.
    static func adam(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
        largest: UnsafeMutablePointer<Float>?, _ step: AdamRule.Coefficients
    ) {
        gradient.forEachShift { offset, count, shift in
            let (source, factor) = (gradient.floats + offset, gradient.factor)
            let (parameters, first, second) = (parameters + offset, first + offset, second + offset)
            guard let largest = largest.map({ $0 + offset }) else {
                return adam(
                    source, factor, shift, parameters, first, second, count: count, step)
            }
            // The largest moments take the place of the second ones in the denominator.
            for index in 0..<count {
                var decayed = factor * source[index] + shift
                if step.coupledDecay != 0 { decayed += step.coupledDecay * parameters[index] }
                let moment = (step.beta1 * first[index] + step.oneMinusBeta1 * decayed).flushed
                let square = (step.beta2 * second[index] + (step.oneMinusBeta2 * decayed) * decayed).flushed
                let denominator = largest[index] > square ? largest[index] : square
                first[index] = moment
                second[index] = square
                largest[index] = denominator
                let root = ReproducibleMath.squareRoot(denominator) * step.secondCorrection + step.epsilon
                parameters[index] = parameters[index] * step.decoupledFactor - step.rate * (moment / root)
            }
        }
    }

    /// The same without AMSGrad, for a range with one shift: with every number a local one, the loop is vectorized.
    private static func adam(
        _ source: UnsafePointer<Float>, _ factor: Float, _ shift: Float, _ parameters: UnsafeMutablePointer<Float>,
        _ first: UnsafeMutablePointer<Float>, _ second: UnsafeMutablePointer<Float>, count: Int,
        _ step: AdamRule.Coefficients
    ) {
        let (beta1, oneMinusBeta1, beta2, oneMinusBeta2) = (
            step.beta1, step.oneMinusBeta1, step.beta2, step.oneMinusBeta2
        )
        let (correction, epsilon, rate) = (step.secondCorrection, step.epsilon, step.rate)
        let (coupledDecay, decoupledFactor) = (step.coupledDecay, step.decoupledFactor)
        for index in 0..<count {
            let parameter = parameters[index]
            let value = factor * source[index] + shift
            let decayed = coupledDecay != 0 ? value + coupledDecay * parameter : value
            let moment = (beta1 * first[index] + oneMinusBeta1 * decayed).flushed
            let square = (beta2 * second[index] + (oneMinusBeta2 * decayed) * decayed).flushed
            first[index] = moment
            second[index] = square
            let root = ReproducibleMath.squareRoot(square) * correction + epsilon
            parameters[index] = parameter * decoupledFactor - rate * (moment / root)
        }
    }
    /// Adam's direction; see `AdamRule` for the formula.
    static func adamDirection(
        _ gradient: PendingGradient, _ parameters: UnsafePointer<Float>, first: UnsafeMutablePointer<Float>,
        second: UnsafeMutablePointer<Float>, largest: UnsafeMutablePointer<Float>?,
        into destination: UnsafeMutablePointer<Float>, _ step: AdamRule.Coefficients, keepsMoments: Bool
    ) {
        gradient.forEachShift { offset, count, shift in
            for index in offset..<offset + count {
                let parameter = parameters[index]
                var decayed = gradient.factor * gradient.floats[index] + shift
                if step.coupledDecay != 0 { decayed += step.coupledDecay * parameter }
                let moment = (step.beta1 * first[index] + step.oneMinusBeta1 * decayed).flushed
                let square = (step.beta2 * second[index] + (step.oneMinusBeta2 * decayed) * decayed).flushed
                var denominator = square
                if let largest, largest[index] > square { denominator = largest[index] }
                if keepsMoments {
                    first[index] = moment
                    second[index] = square
                    largest?[index] = denominator
                }
                let root = ReproducibleMath.squareRoot(denominator) * step.secondCorrection + step.epsilon
                destination[index] = moment / root * step.firstCorrection + step.decoupledDecay * parameter
            }
        }
    }
}
