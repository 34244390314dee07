public import DescentCore

extension SIMDBlock {
    public mutating func carryOut(_ rule: ElementwiseRule, moves: Bool) -> Bool {
        let slotCount = rule.kernel.slotCount
        // Too few slots are for the optimizer's own formula to report.
        guard slotAccess.count >= slotCount, moves || rule.kernel.hasDirection else { return false }
        if rule.gradientFactor != 1 { scale(by: rule.gradientFactor) }
        let (kernels, rate, keepsSlots) = (kernels, rates.learningRate, slotAccess.isKept)
        let (parameters, direction) = (parameters, scratch.gradient)
        let block = self
        var isFinite = true
        forEachSegment { gradient, offset, scratchOffset in
            let count = gradient.rows * gradient.columns
            func slot(_ index: Int) -> UnsafeMutablePointer<Float>? {
                guard index < slotCount else { return nil }
                return block.slot(index, offset: offset, scratchOffset: scratchOffset, count: count)
            }
            let isSegmentFinite = kernels.carryOut(
                rule, gradient, parameters(offset, scratchOffset), slots: (slot(0), slot(1), slot(2)),
                into: moves ? nil : direction + scratchOffset, rate: rate, keepsSlots: keepsSlots)
            isFinite = isFinite && isSegmentFinite
            for index in 0..<slotCount where keepsSlots {
                block.keepSlot(index, offset: offset, scratchOffset: scratchOffset, count: count)
            }
        }
        if moves {
            updateIsFinite = isFinite
            noteChangedParameters()
        } else {
            continueInScratch(direction)
        }
        return true
    }
}
