import Descent

extension OptimizerSetting {
    /// The slots that the optimizer keeps, as the pipeline names them.
    var slotNames: [String] {
        switch kind {
        case .plainSGD, .maximizingSGD: []
        case .momentumSGD, .nesterovSGD, .dampenedSGD: ["SGD.velocity"]
        case .adam: ["Adam.first moment", "Adam.second moment"]
        case .amsgrad: ["Adam.first moment", "Adam.second moment", "Adam.largest second moment"]
        case .adamW: ["AdamW.first moment", "AdamW.second moment"]
        case .rmsProp: ["RMSProp.mean of squares"]
        case .momentumRMSProp: ["RMSProp.mean of squares", "RMSProp.velocity"]
        case .adagrad: ["Adagrad.sum of squares"]
        case .lion: ["Lion.moment"]
        }
    }

    /// Updates one element as the optimizer's formula says.
    ///
    /// - Parameters:
    ///   - gradient: The gradient.
    ///   - parameter: The parameter.
    ///   - slots: The element of each slot.
    ///   - rank: The rank of the parameter's tensor.
    ///   - step: How many steps have been applied before this one.
    func update(
        _ gradient: Approximate, _ parameter: inout Approximate, _ slots: inout [Approximate], rank: Int, step: Int
    ) {
        let rate = Approximate(rounding: rate.value(at: step), 0)
        switch kind {
        case .plainSGD: parameter = parameter - rate * gradient
        case .maximizingSGD: parameter = parameter + rate * gradient
        case .momentumSGD:
            let decayed = gradient + 0.25 * parameter
            slots[0] = step == 0 ? decayed : 0.5 * slots[0] + decayed
            parameter = parameter - rate * slots[0]
        case .nesterovSGD:
            slots[0] = step == 0 ? -gradient : 0.5 * slots[0] - gradient
            parameter = parameter - rate * (0.5 * slots[0] - gradient)
        case .dampenedSGD:
            slots[0] = step == 0 ? gradient : 0.5 * slots[0] + 0.75 * gradient
            parameter = parameter - rate * slots[0]
        case .adam: updateAsAdam(gradient + 0.25 * parameter, &parameter, &slots, rate, step)
        case .amsgrad: updateAsAdam(gradient, &parameter, &slots, rate, step)
        case .adamW:
            if rank > 1 { parameter = parameter - rate * (0.25 * parameter) }
            updateAsAdam(gradient, &parameter, &slots, rate, step)
        case .rmsProp: parameter = parameter - rate * directionOfRMSProp(gradient, &slots)
        case .momentumRMSProp:
            slots[1] = 0.5 * slots[1] + directionOfRMSProp(gradient + 0.25 * parameter, &slots)
            parameter = parameter - rate * slots[1]
        case .adagrad:
            slots[0] = (step == 0 ? Approximate(0.25) : slots[0]) + gradient * gradient
            let factor = Approximate(rounding: 1 / (1 + 0.5 * Double(step)), 0)
            parameter = parameter - rate * factor * (gradient / (slots[0].squareRoot + Approximate(1e-3)))
        case .lion:
            let direction = (0.5 * slots[0] + 0.5 * gradient).sign
            slots[0] = 0.75 * slots[0] + 0.25 * gradient
            parameter = parameter - rate * (direction + 0.25 * parameter)
        }
    }

    private func updateAsAdam(
        _ gradient: Approximate, _ parameter: inout Approximate, _ slots: inout [Approximate], _ rate: Approximate,
        _ step: Int
    ) {
        slots[0] = 0.5 * slots[0] + 0.5 * gradient
        slots[1] = 0.75 * slots[1] + 0.25 * gradient * gradient
        var square = slots[1]
        if slots.count > 2 {
            square = .maximum(slots[2], square)
            slots[2] = square
        }
        let (first, second) = (1 - power(0.5, step + 1), 1 - power(0.75, step + 1))
        let root = (square / Approximate(rounding: second, 0)).squareRoot + Approximate(1e-3)
        parameter = parameter - rate * (slots[0] / Approximate(rounding: first, 0) / root)
    }

    private func directionOfRMSProp(_ gradient: Approximate, _ slots: inout [Approximate]) -> Approximate {
        slots[0] = 0.75 * slots[0] + 0.25 * gradient * gradient
        return gradient / (slots[0].squareRoot + Approximate(1e-3))
    }

    private func power(_ base: Double, _ exponent: Int) -> Double {
        (0..<exponent).reduce(1.0) { power, _ in power * base }
    }
}
