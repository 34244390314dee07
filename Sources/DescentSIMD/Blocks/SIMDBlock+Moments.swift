import CDescentKernels
import DescentCore

/// The slots of an optimizer, as kernels read and write them where they are stored.
extension SIMDBlock {
    /// Calls a closure with the first so many slots of the optimizer at work, for a segment of the gradient.
    ///
    /// Those that kernels cannot use as they are stored lie in scratch meanwhile.
    func withMoments(
        _ slots: Int, of gradient: PendingGradient, offset: Int, scratchOffset: Int, _ body: (descent_moments) -> Void
    ) {
        guard slots > 0 else { return body(descent_moments()) }
        if let moments = moments(slots, offset: offset) { return body(moments) }
        let count = gradient.rows * gradient.columns
        var moments = descent_moments()
        for index in 0..<slots {
            moments.setSlot(index, slot(index, offset: offset, scratchOffset: scratchOffset, count: count))
        }
        body(moments)
        guard slotAccess.isKept else { return }
        for index in 0..<slots { keepSlot(index, offset: offset, scratchOffset: scratchOffset, count: count) }
    }

    /// The first so many slots of the optimizer at work, from an offset in memory on.
    ///
    /// - Returns: Where they lie; nil where kernels cannot use them as they are stored, or not all in one way.
    private func moments(_ count: Int, offset: Int) -> descent_moments? {
        let first = memory.slots[slotAccess.first]
        guard let type = descent_moment_type(first.elementType) else { return nil }
        var moments = descent_moments()
        moments.type = type
        moments.place = UInt32(truncatingIfNeeded: offset)
        for index in 0..<count {
            let tensors = memory.slots[slotAccess.first + index]
            guard tensors.elementType == first.elementType, tensors.shape == .parameter else { return nil }
            let address = tensors.bytes(parameterIndex) + offset * tensors.elementType.byteCount
            moments.setSlot(index, address, seed: roundingSeed(slot: index))
        }
        return moments
    }
}

extension descent_moment_type {
    fileprivate init?(_ elementType: ElementType) {
        switch elementType {
        case .float32: self = descent_moments_float32
        case .bfloat16: self = descent_moments_bfloat16
        case .float16: return nil
        }
    }
}

extension descent_moments {
    /// Says where a slot lies.
    fileprivate mutating func setSlot(_ index: Int, _ address: UnsafeMutableRawPointer, seed: UInt32 = 0) {
        switch index {
        case 0: (elements.0, seeds.0) = (address, seed)
        case 1: (elements.1, seeds.1) = (address, seed)
        default: (elements.2, seeds.2) = (address, seed)
        }
    }
}
