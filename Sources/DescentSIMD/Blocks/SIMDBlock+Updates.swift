public import DescentCore

extension SIMDBlock {
    public mutating func apply(_ rule: SGDRule) {
        guard rule.momentum == 0 || slotAccess.declares(slots: 1) else { return }
        let kernels = kernels
        let (parameters, step) = (parameters, SGDCoefficients(rule, rates))
        let block = self
        var isFinite = true
        forEachSegment { gradient, offset, scratchOffset in
            let count = gradient.rows * gradient.columns
            let velocity =
                rule.momentum == 0 ? nil : block.slot(0, offset: offset, scratchOffset: scratchOffset, count: count)
            let isSegmentFinite = kernels.sgd(
                gradient, parameters(offset, scratchOffset), velocity: velocity, step)
            isFinite = isFinite && isSegmentFinite
            if velocity != nil { block.keepSlot(0, offset: offset, scratchOffset: scratchOffset, count: count) }
        }
        updateIsFinite = isFinite
        noteChangedParameters()
    }

    public mutating func apply(_ rule: AdamRule) {
        guard slotAccess.declares(slots: rule.amsgrad ? 3 : 2) else { return }
        if rule.maximize { scale(by: -1) }
        let kernels = kernels
        let parameters = parameters
        let (block, step) = (self, rule.coefficients(for: rates))
        var isFinite = true
        forEachSegment { gradient, offset, scratchOffset in
            let count = gradient.rows * gradient.columns
            func slot(_ index: Int) -> UnsafeMutablePointer<Float> {
                block.slot(index, offset: offset, scratchOffset: scratchOffset, count: count)
            }
            let isSegmentFinite = kernels.adam(
                gradient, parameters(offset, scratchOffset), first: slot(0), second: slot(1),
                largest: rule.amsgrad ? slot(2) : nil, step)
            isFinite = isFinite && isSegmentFinite
            for index in 0..<(rule.amsgrad ? 3 : 2) {
                block.keepSlot(index, offset: offset, scratchOffset: scratchOffset, count: count)
            }
        }
        updateIsFinite = isFinite
        noteChangedParameters()
    }

    public mutating func makeDirection(_ rule: AdamRule) {
        guard slotAccess.declares(slots: rule.amsgrad ? 3 : 2) else { return }
        if rule.maximize { scale(by: -1) }
        let (kernels, keepsMoments) = (kernels, slotAccess.isKept)
        let (parameters, direction) = (parameters, scratch.gradient)
        let (block, step) = (self, rule.coefficients(for: rates))
        forEachSegment { gradient, offset, scratchOffset in
            let count = gradient.rows * gradient.columns
            func slot(_ index: Int) -> UnsafeMutablePointer<Float> {
                block.slot(index, offset: offset, scratchOffset: scratchOffset, count: count)
            }
            kernels.adamDirection(
                gradient, parameters(offset, scratchOffset), first: slot(0), second: slot(1),
                largest: rule.amsgrad ? slot(2) : nil, into: direction + scratchOffset, step,
                keepsMoments: keepsMoments)
            for index in 0..<(rule.amsgrad ? 3 : 2) where keepsMoments {
                block.keepSlot(index, offset: offset, scratchOffset: scratchOffset, count: count)
            }
        }
        continueInScratch(direction)
    }

    public mutating func blendParameters(into slot: Int, weight: Float, replacing: Bool) {
        guard slotAccess.declares(slots: slot + 1) else { return }
        if replacing { updateIsFinite = nil }
        let parameters = parameters
        for segment in 0..<region.segmentCount {
            let (offset, scratchOffset) = (region.start + segment * region.stride, segment * region.segmentLength)
            let values = self.slot(slot, offset: offset, scratchOffset: scratchOffset, count: region.segmentLength)
            kernels.blend(
                parameters(offset, scratchOffset), into: values, count: region.segmentLength, weight: weight,
                replacing: replacing)
            keepSlot(slot, offset: offset, scratchOffset: scratchOffset, count: region.segmentLength)
        }
        if replacing { noteChangedParameters() }
    }

    public mutating func parametersAreFinite() -> Bool {
        if let updateIsFinite { return updateIsFinite && parametersFit() }
        let (kernels, parameters, region) = (kernels, parameters, region)
        return parametersFit()
            && (0..<region.segmentCount).allSatisfy { segment in
                kernels.isFinite(
                    parameters(region.start + segment * region.stride, segment * region.segmentLength),
                    count: region.segmentLength)
            }
    }

    public mutating func rememberParameters() {
        let (remembered, parameters) = (scratch.remembered, parameters)
        for segment in 0..<region.segmentCount {
            let scratchOffset = segment * region.segmentLength
            (remembered + scratchOffset).update(
                from: parameters(region.start + segment * region.stride, scratchOffset), count: region.segmentLength)
        }
    }

    public mutating func updateNorm() -> Double {
        let (remembered, parameters) = (scratch.remembered, parameters)
        for segment in 0..<region.segmentCount {
            let scratchOffset = segment * region.segmentLength
            kernels.subtract(
                parameters(region.start + segment * region.stride, scratchOffset), from: remembered + scratchOffset,
                count: region.segmentLength)
        }
        return kernels.norm(.l2, remembered, rows: 1, columns: count, means: nil)
    }

    public mutating func copyParameters() {
        guard let copy = memory.parameterCopy else { stopForMisuse("a sweep without a copy of the parameters") }
        let parameters = parameters
        for segment in 0..<region.segmentCount {
            let offset = region.start + segment * region.stride
            let start = parameters(offset, segment * region.segmentLength)
            if copy.elementType == .float32 {
                (copy.floats(parameterIndex) + offset).update(from: start, count: region.segmentLength)
            } else {
                kernels.narrow(
                    start, copy.elementType, into: copy.words(parameterIndex) + offset, count: region.segmentLength)
            }
        }
    }
}
