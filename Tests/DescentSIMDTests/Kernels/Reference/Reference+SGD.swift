import DescentCore

@testable import DescentSIMD

extension ReferenceKernels {
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
