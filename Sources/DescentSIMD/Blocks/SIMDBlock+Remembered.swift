import DescentCore

/// The gradient that an optimizer makes its update of, as stages behind the optimizer see it.
///
/// It is read where it lies, times a factor, as long as nothing else is pending: optimizers write their direction elsewhere.
extension SIMDBlock {
    /// Where the elements are read, and what they are multiplied by.
    struct RememberedGradient {
        fileprivate let source: UnsafeMutablePointer<Float>
        fileprivate let stride: Int
        fileprivate let factor: Double
    }

    public mutating func rememberGradient() {
        let isPlain = !isWorkingCopy && Float(factor).isNormal && factors == nil && !isCentered && limits == nil
        if !isPlain {
            materialize(into: scratch.original)
        } else if memory.gradients.isStrided(parameterIndex) {
            readSource()
        }
        remembered = RememberedGradient(source: source, stride: sourceStride, factor: factor)
    }

    /// The remembered gradient in scratch; nil if there is none.
    mutating func rememberedElements() -> UnsafeMutablePointer<Float>? {
        guard let gradient = remembered else { return nil }
        let original = scratch.original
        if gradient.source != original {
            var block = self
            block.goOn(with: gradient)
            block.materialize(into: original)
            remembered = RememberedGradient(source: original, stride: region.segmentLength, factor: 1)
        }
        return original
    }

    /// Replaces the block's elements by remembered ones.
    private mutating func goOn(with gradient: RememberedGradient) {
        forgetPending()
        (source, sourceStride, factor) = (gradient.source, gradient.stride, gradient.factor)
    }

    /// Calls a closure for each segment of the remembered gradient, with the update's elements there.
    private mutating func forEachRemembered(
        _ body: (_ gradient: PendingGradient, _ update: UnsafeMutablePointer<Float>) -> Void
    ) {
        guard slotAccess.readsGradient, let gradient = remembered else { return slotAccess.report(.gradient) }
        materialize()
        let update = source
        var block = self
        block.goOn(with: gradient)
        block.forEachSegment { gradient, _, scratchOffset in body(gradient, update + scratchOffset) }
    }

    public mutating func agreeingCount() -> Int {
        let kernels = kernels
        var count = 0
        forEachRemembered { gradient, update in count += kernels.agreeingCount(gradient, update) }
        return count
    }

    public mutating func scaleAgreeing(by factor: Float) {
        let kernels = kernels
        forEachRemembered { gradient, update in kernels.scaleAgreeing(gradient, update, by: factor) }
    }
}
