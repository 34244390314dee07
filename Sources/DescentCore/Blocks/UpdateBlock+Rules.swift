// The plain meaning of the rules of optimizers: as a direction, and as a step along it.

extension UpdateBlock {
    public mutating func apply(_ rule: SGDRule) {
        let rate = rates.learningRate
        forEachDirection(rule) { memory, index, direction in memory.parameters[index] -= rate * direction }
    }

    public mutating func makeDirection(_ rule: SGDRule) {
        forEachDirection(rule) { memory, index, direction in memory.gradient[index] = direction }
    }

    public mutating func apply(_ rule: AdamRule) {
        let step = rule.coefficients(for: rates)
        forEachQuotient(rule, step) { memory, index, quotient in
            memory.parameters[index] = memory.parameters[index] * step.decoupledFactor - step.rate * quotient
        }
    }

    public mutating func makeDirection(_ rule: AdamRule) {
        let step = rule.coefficients(for: rates)
        forEachQuotient(rule, step) { memory, index, quotient in
            // The moment is corrected last: where its square overflows, the quotient is 0, and not infinity over infinity.
            memory.gradient[index] =
                quotient * step.firstCorrection + step.decoupledDecay * memory.parameters[index]
        }
    }

    public mutating func carryOut(_ rule: ElementwiseRule, moves: Bool) -> Bool { false }

    /// Brings the velocity up to date, and calls a body with the direction of each element.
    private mutating func forEachDirection(
        _ rule: SGDRule, _ body: (_ memory: UnsafeBlockElements, _ index: Int, _ direction: Float) -> Void
    ) {
        let decay = rates.weightDecay
        guard rule.momentum == 0 || slotAccess.declares(slots: 1) else { return }
        let (momentum, taken) = (Float(rule.momentum), Float(1 - rule.dampening))
        withUnsafeElements { memory in
            let velocities = memory.slots[0]
            for index in memory.gradient.indices {
                var gradient = rule.maximize ? -memory.gradient[index] : memory.gradient[index]
                gradient += decay * memory.parameters[index]
                if rule.momentum != 0 {
                    let velocity =
                        (rule.isFirst ? gradient : momentum * velocities[index] + taken * gradient).flushed
                    velocities[index] = velocity
                    gradient = rule.nesterov ? gradient + momentum * velocity : velocity
                }
                body(memory, index, gradient)
            }
        }
    }

    /// Brings the moments up to date, and calls a body with the quotient m / d of each element.
    private mutating func forEachQuotient(
        _ rule: AdamRule, _ step: AdamRule.Coefficients,
        _ body: (_ memory: UnsafeBlockElements, _ index: Int, _ quotient: Float) -> Void
    ) {
        guard slotAccess.declares(slots: rule.amsgrad ? 3 : 2) else { return }
        if rule.maximize { scale(by: -1) }
        withUnsafeElements { memory in
            let (first, second, largest) = (memory.slots[0], memory.slots[1], memory.slots[2])
            for index in memory.gradient.indices {
                var gradient = memory.gradient[index]
                if step.coupledDecay != 0 { gradient += step.coupledDecay * memory.parameters[index] }
                let moment = (step.beta1 * first[index] + step.oneMinusBeta1 * gradient).flushed
                let square = (step.beta2 * second[index] + (step.oneMinusBeta2 * gradient) * gradient).flushed
                first[index] = moment
                second[index] = square
                var denominator = square
                if rule.amsgrad {
                    denominator = largest[index] > square ? largest[index] : square
                    largest[index] = denominator
                }
                body(memory, index, moment / (denominator.squareRoot() * step.secondCorrection + step.epsilon))
            }
        }
    }
}
