public import DescentCore

extension SIMDBlock {
    public mutating func apply(_ rule: SGDRule) {
        guard rule.momentum == 0 || slotAccess.declares(slots: 1) else { return }
        let kernels = kernels
        let (block, parameters, step) = (self, parametersToUpdate, SGDCoefficients(rule, rates))
        var isFinite = true
        forEachRun { run, offset, compact in
            let count = run.rows * run.columns
            let velocity = rule.momentum == 0 ? nil : block.slot(0, offset: offset, compact: compact, count: count)
            let isRunFinite = kernels.sgd(run, parameters + offset, velocity: velocity, step)
            isFinite = isFinite && isRunFinite
            if velocity != nil { block.keepSlot(0, offset: offset, compact: compact, count: count) }
        }
        updateIsFinite = isFinite
    }

    public mutating func apply(_ rule: AdamRule) {
        guard slotAccess.declares(slots: rule.amsgrad ? 3 : 2) else { return }
        if rule.maximize { scale(by: -1) }
        let kernels = kernels
        let (block, parameters) = (self, parametersToUpdate)
        let step = rule.coefficients(for: rates)
        var isFinite = true
        forEachRun { run, offset, compact in
            let count = run.rows * run.columns
            func slot(_ index: Int) -> UnsafeMutablePointer<Float> {
                block.slot(index, offset: offset, compact: compact, count: count)
            }
            let isRunFinite = kernels.adam(
                run, parameters + offset, first: slot(0), second: slot(1), largest: rule.amsgrad ? slot(2) : nil, step)
            isFinite = isFinite && isRunFinite
            for index in 0..<(rule.amsgrad ? 3 : 2) {
                block.keepSlot(index, offset: offset, compact: compact, count: count)
            }
        }
        updateIsFinite = isFinite
    }

    public mutating func blendParameters(into slot: Int, weight: Float, replacing: Bool) {
        guard slotAccess.declares(slots: slot + 1) else { return }
        if replacing { updateIsFinite = nil }
        let parameters = parametersToUpdate
        for line in 0..<stripe.lines {
            let (offset, compact) = (stripe.start + line * stripe.stride, line * stripe.lineLength)
            let values = self.slot(slot, offset: offset, compact: compact, count: stripe.lineLength)
            PortableKernels.blend(
                parameters + offset, into: values, count: stripe.lineLength, weight: weight, replacing: replacing)
            keepSlot(slot, offset: offset, compact: compact, count: stripe.lineLength)
        }
    }

    public mutating func parametersAreFinite() -> Bool {
        if let updateIsFinite { return updateIsFinite }
        let (kernels, parameters) = (kernels, parametersToUpdate)
        return (0..<stripe.lines).allSatisfy { line in
            kernels.isFinite(parameters + stripe.start + line * stripe.stride, count: stripe.lineLength)
        }
    }

    public mutating func rememberParameters() {
        let (remembered, parameters) = (scratch.remembered, parametersToUpdate)
        for line in 0..<stripe.lines {
            (remembered + line * stripe.lineLength).update(
                from: parameters + stripe.start + line * stripe.stride, count: stripe.lineLength)
        }
    }

    public mutating func updateNorm() -> Double {
        let (remembered, parameters) = (scratch.remembered, parametersToUpdate)
        for line in 0..<stripe.lines {
            PortableKernels.subtract(
                parameters + stripe.start + line * stripe.stride, from: remembered + line * stripe.lineLength,
                count: stripe.lineLength)
        }
        return kernels.norm(.l2, remembered, rows: 1, columns: count, means: nil)
    }

    public mutating func copyParameters() {
        guard let copy = memory.parameterCopy else { stopForMisuse("a sweep without a copy of the parameters") }
        let parameters = parametersToUpdate
        for line in 0..<stripe.lines {
            let offset = stripe.start + line * stripe.stride
            if copy.elementType == .float32 {
                (copy.floats(parameterIndex) + offset).update(from: parameters + offset, count: stripe.lineLength)
            } else {
                kernels.narrow(
                    parameters + offset, copy.elementType, into: copy.words(parameterIndex) + offset,
                    count: stripe.lineLength)
            }
        }
    }

    private var parametersToUpdate: UnsafeMutablePointer<Float> {
        guard let parameters = memory.parameters else { stopForMisuse("a sweep without parameters to update") }
        return parameters.floats(parameterIndex)
    }
}
