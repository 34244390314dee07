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
        if let plain = plainMoments(count, offset: offset) { return plain }
        var moments = descent_moments()
        guard let type = momentType(0) else { return nil }
        moments.type = type
        moments.place = UInt32(truncatingIfNeeded: offset)
        moments.setGroups(memory.shapes[parameterIndex].codeGroups)
        for index in 0..<count {
            guard momentType(index) == type else { return nil }
            let tensors = memory.slots[slotAccess.first + index]
            if let floats = storedFloats(tensors) {
                moments.setSlot(index, floats + offset)
            } else {
                let address = tensors.bytes(parameterIndex) + offset * tensors.elementType.byteCount
                moments.setSlot(index, address, scales(tensors, at: offset), seed: momentSeed(index, tensors))
            }
        }
        return moments
    }

    /// Slots that are all stored in float32, which most are: found out with as little as that takes.
    func plainMoments(_ count: Int, offset: Int) -> descent_moments? {
        let slots = memory.slots + slotAccess.first
        var moments = descent_moments()
        for index in 0..<count {
            guard slots[index].elementType == .float32, slots[index].shape == .parameter else { return nil }
            moments.setSlot(index, slots[index].floats(parameterIndex) + offset)
        }
        return moments
    }

    /// How kernels know a slot of the optimizer at work; nil if they do not.
    private func momentType(_ index: Int) -> descent_moment_type? {
        let tensors = memory.slots[slotAccess.first + index]
        guard tensors.shape == .parameter else { return nil }
        if storedFloats(tensors) != nil { return descent_moments_float32 }
        return switch tensors.elementType {
        case .float32: descent_moments_float32
        case .bfloat16: descent_moments_bfloat16
        case .int8: index == 0 ? descent_moments_coded : nil
        case .uint8: index > 0 ? descent_moments_coded : nil
        case .float16: nil
        }
    }

    /// Slots in codes share random bits in pairs.
    private func momentSeed(_ index: Int, _ tensors: TensorAddresses) -> UInt32 {
        roundingSeed(slot: tensors.elementType.isCoded ? index & ~1 : index)
    }

    // MARK: Codes of 8 bits

    /// A slot's numbers of the block's parameter, where they are stored in float32.
    func storedFloats(_ tensors: TensorAddresses) -> UnsafeMutablePointer<Float>? {
        if tensors.elementType == .float32 { return tensors.floats(parameterIndex) }
        guard tensors.elementType.isCoded, !memory.shapes[parameterIndex].codeGroups.areUsed else { return nil }
        return tensors.uncoded?[parameterIndex].assumingMemoryBound(to: Float.self)
    }

    /// The scale of the group that begins at an offset in memory.
    private func scales(_ tensors: TensorAddresses, at offset: Int) -> UnsafeMutablePointer<UInt8>? {
        guard let scales = tensors.scales else { return nil }
        let position = memory.shapes[parameterIndex].codeGroups.position(at: offset)
        return scales[parameterIndex].assumingMemoryBound(to: UInt8.self) + position
    }

    /// One slot in codes, and the lines that so many of its elements are.
    private func codes(_ index: Int, offset: Int, count: Int) -> (descent_moments, rows: Int, columns: Int) {
        let tensors = memory.slots[slotAccess.first + index]
        let groups = memory.shapes[parameterIndex].codeGroups
        var moments = descent_moments()
        moments.type = descent_moments_coded
        moments.place = UInt32(truncatingIfNeeded: offset)
        moments.setGroups(groups)
        moments.setSlot(
            0, tensors.bytes(parameterIndex) + offset, scales(tensors, at: offset), seed: momentSeed(index, tensors))
        let columns = min(count, groups.lineLength)
        return (moments, count / columns, columns)
    }

    /// Writes the numbers that a part of a slot's codes stand for.
    func decode(_ index: Int, offset: Int, count: Int, into destination: UnsafeMutablePointer<Float>) {
        let (moments, rows, columns) = codes(index, offset: offset, count: count)
        let isSigned = memory.slots[slotAccess.first + index].elementType == .int8
        kernels.decode(moments, isSigned: isSigned, rows: rows, columns: columns, into: destination)
    }

    /// Rounds numbers to codes at random, and stores these.
    func encode(_ source: UnsafePointer<Float>, _ index: Int, offset: Int, count: Int) {
        let (moments, rows, columns) = codes(index, offset: offset, count: count)
        let isSigned = memory.slots[slotAccess.first + index].elementType == .int8
        kernels.encode(source, isSigned: isSigned, slot: index, rows: rows, columns: columns, into: moments)
    }
}

extension descent_moments {
    /// Says which elements share a scale.
    fileprivate mutating func setGroups(_ groups: CodeGroups) {
        are_interleaved = groups.areInterleaved
        group_length = groups.length
    }

    /// Says where a slot lies.
    fileprivate mutating func setSlot(
        _ index: Int, _ address: UnsafeMutableRawPointer, _ scale: UnsafeMutablePointer<UInt8>? = nil, seed: UInt32 = 0
    ) {
        switch index {
        case 0: (elements.0, scales.0, seeds.0) = (address, scale, seed)
        case 1: (elements.1, scales.1, seeds.1) = (address, scale, seed)
        default: (elements.2, scales.2, seeds.2) = (address, scale, seed)
        }
    }
}
