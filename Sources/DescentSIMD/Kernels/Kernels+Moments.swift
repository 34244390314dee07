import CDescentKernels
import DescentCore

/// Optimizers whose moments lie in any of the ways that moments are stored in.
extension Kernels {
    /// Says whether all parameters are finite afterwards; so do the next two.
    ///
    /// Without momentum there are no moments.
    func sgd(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>, _ moments: descent_moments,
        _ step: SGDCoefficients
    ) -> Bool {
        withUnsafePointer(to: moments) { moments in
            withUnsafePointer(to: descent_pending(gradient)) { gradient in
                withUnsafePointer(to: descent_sgd(step)) { table.pointee.sgd(gradient, parameters, moments, $0) }
            }
        }
    }

    func adam(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>, _ moments: descent_moments,
        _ step: AdamRule.Coefficients
    ) -> Bool {
        withUnsafePointer(to: moments) { moments in
            withUnsafePointer(to: descent_pending(gradient)) { gradient in
                withUnsafePointer(to: descent_adam(step)) {
                    table.pointee.adam(gradient, parameters, moments, $0)
                }
            }
        }
    }

    func lion(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>, _ moments: descent_moments,
        _ step: descent_lion
    ) -> Bool {
        withUnsafePointer(to: moments) { moments in
            withUnsafePointer(to: descent_pending(gradient)) { gradient in
                withUnsafePointer(to: step) { table.pointee.lion(gradient, parameters, moments, $0) }
            }
        }
    }

    /// Writes the direction to a destination, which may be the gradient's source; moments are written if they are to be kept.
    func adamDirection(
        _ gradient: PendingGradient, _ parameters: UnsafePointer<Float>, _ moments: descent_moments,
        into destination: UnsafeMutablePointer<Float>, _ step: AdamRule.Coefficients, keepsMoments: Bool
    ) {
        withUnsafePointer(to: moments) { moments in
            withUnsafePointer(to: descent_pending(gradient)) { gradient in
                withUnsafePointer(to: descent_adam(step)) {
                    table.pointee.adam_direction(
                        gradient, parameters, moments, destination, $0, keepsMoments)
                }
            }
        }
    }

    /// Writes the numbers that the codes of a slot stand for.
    func decode(
        _ moments: descent_moments, isSigned: Bool, rows: Int, columns: Int,
        into destination: UnsafeMutablePointer<Float>
    ) {
        withUnsafePointer(to: moments) { table.pointee.decode_moments($0, isSigned, rows, columns, destination) }
    }

    /// Rounds numbers at random to codes of a slot, the position of which says which random bits they take.
    func encode(
        _ source: UnsafePointer<Float>, isSigned: Bool, slot: Int, rows: Int, columns: Int,
        into moments: descent_moments
    ) {
        withUnsafePointer(to: moments) {
            table.pointee.encode_moments(source, isSigned, Int32(slot), rows, columns, $0)
        }
    }

    /// The same as ``adamDirection(_:_:_:into:_:keepsMoments:)`` for Lion.
    func lionDirection(
        _ gradient: PendingGradient, _ parameters: UnsafePointer<Float>, _ moments: descent_moments,
        into destination: UnsafeMutablePointer<Float>, _ step: descent_lion, keepsMoments: Bool
    ) {
        withUnsafePointer(to: moments) { moments in
            withUnsafePointer(to: descent_pending(gradient)) { gradient in
                withUnsafePointer(to: step) {
                    table.pointee.lion_direction(gradient, parameters, moments, destination, $0, keepsMoments)
                }
            }
        }
    }
}

extension descent_sgd {
    init(_ step: SGDCoefficients) {
        self.init(
            sign: step.sign, rate: step.rate, decay: step.decay, kept: step.kept, taken: step.taken,
            momentum: step.momentum, looks_ahead: step.looksAhead)
    }
}

extension descent_lion {
    /// Each factor is formed in Double and rounded once.
    init(_ rule: LionRule, _ rates: UpdateRates) {
        self.init(
            beta1: Float(rule.beta1), one_minus_beta1: Float(1 - rule.beta1), beta2: Float(rule.beta2),
            one_minus_beta2: Float(1 - rule.beta2), rate: rates.learningRate, decay: rates.weightDecay)
    }
}
