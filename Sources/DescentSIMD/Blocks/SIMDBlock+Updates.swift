import CDescentKernels
public import DescentCore

extension SIMDBlock {
    public mutating func apply(_ rule: SGDRule) {
        let slotCount = rule.momentum == 0 ? 0 : 1
        guard slotAccess.declares(slots: slotCount) else { return }
        let (kernels, step) = (kernels, SGDCoefficients(rule, rates))
        update(slots: slotCount) { gradient, parameters, moments in
            kernels.sgd(gradient, parameters, moments, step)
        }
    }

    public mutating func apply(_ rule: AdamRule) {
        guard slotAccess.declares(slots: rule.slotCount) else { return }
        if rule.maximize { scale(by: -1) }
        let (kernels, step) = (kernels, rule.coefficients(for: rates))
        update(slots: rule.slotCount) { gradient, parameters, moments in
            kernels.adam(gradient, parameters, moments, step)
        }
    }

    public mutating func apply(_ rule: LionRule) {
        guard slotAccess.declares(slots: 1) else { return }
        if rule.maximize { scale(by: -1) }
        let (kernels, step) = (kernels, descent_lion(rule, rates))
        update(slots: 1) { gradient, parameters, moments in kernels.lion(gradient, parameters, moments, step) }
    }

    public mutating func makeDirection(_ rule: AdamRule) {
        guard slotAccess.declares(slots: rule.slotCount) else { return }
        if rule.maximize { scale(by: -1) }
        let (kernels, keepsMoments, step) = (kernels, slotAccess.isKept, rule.coefficients(for: rates))
        direct(slots: rule.slotCount) { gradient, parameters, moments, direction in
            kernels.adamDirection(
                gradient, parameters, moments, into: direction, step, keepsMoments: keepsMoments)
        }
    }

    public mutating func makeDirection(_ rule: LionRule) {
        guard slotAccess.declares(slots: 1) else { return }
        if rule.maximize { scale(by: -1) }
        let (kernels, keepsMoments, step) = (kernels, slotAccess.isKept, descent_lion(rule, rates))
        direct(slots: 1) { gradient, parameters, moments, direction in
            kernels.lionDirection(
                gradient, parameters, moments, into: direction, step, keepsMoments: keepsMoments)
        }
    }

    /// Has a kernel change parameters and slots, which says whether all parameters are finite afterwards.
    private mutating func update(
        slots: Int,
        _ kernel: (
            _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>, _ moments: descent_moments
        ) -> Bool
    ) {
        let parameters = parameters
        var isFinite = true
        if region.segmentCount == 1, factors == nil, slots > 0,
            let moments = plainMoments(slots, offset: region.start)
        {
            forEachSegment { gradient, offset, scratchOffset in
                isFinite = kernel(gradient, parameters(offset, scratchOffset), moments)
            }
            updateIsFinite = isFinite
            return noteChangedParameters()
        }
        let block = self
        forEachSegment { gradient, offset, scratchOffset in
            block.withMoments(slots, of: gradient, offset: offset, scratchOffset: scratchOffset) { moments in
                let isSegmentFinite = kernel(gradient, parameters(offset, scratchOffset), moments)
                isFinite = isFinite && isSegmentFinite
            }
        }
        updateIsFinite = isFinite
        noteChangedParameters()
    }

    /// Has a kernel write the direction to scratch, which the block goes on with.
    private mutating func direct(
        slots: Int,
        _ kernel: (
            _ gradient: PendingGradient, _ parameters: UnsafePointer<Float>, _ moments: descent_moments,
            _ direction: UnsafeMutablePointer<Float>
        ) -> Void
    ) {
        let (parameters, direction, block) = (parameters, scratch.gradient, self)
        forEachSegment { gradient, offset, scratchOffset in
            block.withMoments(slots, of: gradient, offset: offset, scratchOffset: scratchOffset) { moments in
                kernel(gradient, parameters(offset, scratchOffset), moments, direction + scratchOffset)
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

    public mutating func decayedNorm(_ decay: Float) -> Double {
        if decay == 0 { return norm(.l2) }
        if isCentered || limits != nil { materialize() }
        let (kernels, parameters) = (kernels, parameters)
        var combiner = Norm.Combiner(.l2)
        var isMeasured = true
        forEachSegment { gradient, offset, scratchOffset in
            let norm = kernels.decayedNorm(gradient, parameters(offset, scratchOffset), decay)
            combiner.add(norm ?? 0)
            isMeasured = isMeasured && norm != nil
        }
        if isMeasured { return combiner.value }
        materialize()
        combiner = Norm.Combiner(.l2)
        forEachSegment { gradient, offset, scratchOffset in
            let values = parameters(offset, scratchOffset)
            for index in 0..<gradient.rows * gradient.columns {
                combiner.add(Double((gradient.floats[index] + decay * values[index]).magnitude))
            }
        }
        return combiner.value
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

extension AdamRule {
    /// How many slots it uses.
    fileprivate var slotCount: Int { amsgrad ? 3 : 2 }
}
