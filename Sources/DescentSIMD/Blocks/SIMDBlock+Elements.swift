public import DescentCore

extension SIMDBlock {
    public mutating func beginAccess() -> UnsafeBlockElements {
        materialize()
        updateIsFinite = nil
        if region.stride != 0 { return transposedElements() }
        let (count, access) = (count, slotAccess)
        let slots = scratch.slotList(access.count)
        for index in 0..<access.count {
            if memory.slots[access.first + index].shape != .parameter {
                slots[index] = shapedSlot(index)
                continue
            }
            slots[index] = elements(
                slot(index, offset: region.start, scratchOffset: 0, count: count, isLent: !access.isKept))
        }
        return UnsafeBlockElements(
            gradient: UnsafeMutableBufferPointer(start: source, count: count),
            parameters: elements(memory.parameters == nil ? nil : parameters(region.start, 0)),
            output: elements(nil), slots: UnsafeBufferPointer(start: slots, count: access.count),
            original: elements(access.readsGradient ? rememberedElements() : nil),
            scratch: scratch.lent)
    }

    /// A slot of the stage at work that keeps a number a row, a column or a tensor.
    ///
    /// All blocks of a tensor share its columns: where they are not one, each is lent a copy. Rows and columns of the
    /// matrices that a tensor is a stack of are there for whole tensors alone.
    private func shapedSlot(_ index: Int) -> UnsafeMutableBufferPointer<Float> {
        let tensors = memory.slots[slotAccess.first + index]
        let isRows = tensors.shape == .row
        let length =
            switch tensors.shape {
            case .parameter: count
            case .row: rowCount
            case .column: columnCount
            case .matrixRow: memory.handsWholeTensors ? memory.shapes[parameterIndex].matrixRowCount : 0
            case .matrixColumn: memory.handsWholeTensors ? memory.shapes[parameterIndex].matrixColumnCount : 0
            case .tensor: 1
            case .group, .uncoded: 0
            }
        let address = tensors.floats(parameterIndex) + (isRows ? firstRow : 0)
        guard !slotAccess.isKept || !(isRows || memory.handsWholeTensors) else {
            return UnsafeMutableBufferPointer(start: address, count: length)
        }
        let copy = scratch.slot(index)
        copy.update(from: address, count: length)
        return UnsafeMutableBufferPointer(start: copy, count: length)
    }

    public mutating func endAccess(_ elements: UnsafeBlockElements) {
        if region.stride != 0 { return copyBack(elements) }
        noteChangedParameters()
        guard slotAccess.isKept else { return }
        for index in 0..<slotAccess.count where memory.slots[slotAccess.first + index].shape == .parameter {
            keepSlot(index, offset: region.start, scratchOffset: 0, count: count)
        }
    }

    private func elements(_ start: UnsafeMutablePointer<Float>?) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: start, count: start == nil ? 0 : count)
    }

    // MARK: Rows as rows, where units are the last dimension: in copies, which are copied back afterwards

    private mutating func transposedElements() -> UnsafeBlockElements {
        transpose(from: source, sourceStride, into: scratch.transposed(0))
        if memory.parameters != nil {
            transpose(from: parameters(region.start, 0), parameterStride, into: scratch.transposed(1))
        }
        let slots = scratch.slotList(slotAccess.count)
        for index in 0..<slotAccess.count {
            if memory.slots[slotAccess.first + index].shape != .parameter {
                slots[index] = shapedSlot(index)
                continue
            }
            for segment in 0..<region.segmentCount {
                _ = slot(
                    index, offset: region.start + segment * region.stride,
                    scratchOffset: segment * region.segmentLength,
                    count: region.segmentLength, isLent: true)
            }
            transpose(from: scratch.slot(index), region.segmentLength, into: scratch.transposed(2 + index))
            slots[index] = elements(scratch.transposed(2 + index))
        }
        return UnsafeBlockElements(
            gradient: elements(scratch.transposed(0)),
            parameters: elements(memory.parameters == nil ? nil : scratch.transposed(1)), output: elements(nil),
            slots: UnsafeBufferPointer(start: slots, count: slotAccess.count),
            original: transposedOriginal(), scratch: scratch.lent)
    }

    /// The gradient that an optimizer made its update of, with rows as rows.
    private mutating func transposedOriginal() -> UnsafeMutableBufferPointer<Float> {
        guard slotAccess.readsGradient, let original = rememberedElements() else { return elements(nil) }
        let rows = scratch.transposed(2 + slotAccess.count)
        transpose(from: original, region.segmentLength, into: rows)
        return elements(rows)
    }

    private mutating func copyBack(_ elements: UnsafeBlockElements) {
        transposeBack(scratch.transposed(0), to: source, sourceStride)
        if memory.parameters != nil {
            transposeBack(scratch.transposed(1), to: parameters(region.start, 0), parameterStride)
            noteChangedParameters()
        }
        guard slotAccess.isKept else { return }
        for index in 0..<slotAccess.count where memory.slots[slotAccess.first + index].shape == .parameter {
            transposeBack(scratch.transposed(2 + index), to: scratch.slot(index), region.segmentLength)
            for segment in 0..<region.segmentCount { returnSlot(index, segment: segment) }
        }
    }

    /// How far segments of parameters are apart.
    private var parameterStride: Int { parametersAreLent ? region.segmentLength : region.stride }

    private func transpose(
        from segments: UnsafePointer<Float>, _ stride: Int, into rows: UnsafeMutablePointer<Float>
    ) {
        for segment in 0..<region.segmentCount {
            for unit in 0..<region.segmentLength {
                rows[unit * region.segmentCount + segment] = segments[segment * stride + unit]
            }
        }
    }

    private func transposeBack(
        _ rows: UnsafePointer<Float>, to segments: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        for segment in 0..<region.segmentCount {
            for unit in 0..<region.segmentLength {
                segments[segment * stride + unit] = rows[unit * region.segmentCount + segment]
            }
        }
    }

    /// A slot of the stage at work as float32: in memory, or in scratch where it is stored in 16 bits or lent.
    func slot(
        _ index: Int, offset: Int, scratchOffset: Int, count: Int, isLent: Bool = false
    ) -> UnsafeMutablePointer<Float> {
        let tensors = memory.slots[slotAccess.first + index]
        if let floats = storedFloats(tensors) {
            let address = floats + offset
            guard isLent else { return address }
            let copy = scratch.slot(index) + scratchOffset
            copy.update(from: address, count: count)
            return copy
        }
        let copy = scratch.slot(index) + scratchOffset
        if tensors.elementType.isCoded {
            decode(index, offset: offset, count: count, into: copy)
            return copy
        }
        kernels.widen(tensors.words(parameterIndex) + offset, tensors.elementType, into: copy, count: count)
        return copy
    }

    /// Rounds a slot that was widened into scratch back to where it is stored.
    func keepSlot(_ index: Int, offset: Int, scratchOffset: Int, count: Int) {
        let tensors = memory.slots[slotAccess.first + index]
        guard storedFloats(tensors) == nil else { return }
        let copy = scratch.slot(index) + scratchOffset
        if tensors.elementType.isCoded { return encode(copy, index, offset: offset, count: count) }
        let words = tensors.words(parameterIndex) + offset
        if tensors.elementType == .bfloat16 {
            kernels.narrowAtRandom(
                copy, .bfloat16, into: words, count: count, seed: roundingSeed(slot: index), first: offset)
        } else {
            kernels.narrow(copy, tensors.elementType, into: words, count: count)
        }
    }

    /// Copies one segment of a slot back from scratch.
    private func returnSlot(_ index: Int, segment: Int) {
        let tensors = memory.slots[slotAccess.first + index]
        let (offset, scratchOffset) = (region.start + segment * region.stride, segment * region.segmentLength)
        if let floats = storedFloats(tensors) {
            (floats + offset).update(
                from: scratch.slot(index) + scratchOffset, count: region.segmentLength)
        } else {
            keepSlot(index, offset: offset, scratchOffset: scratchOffset, count: region.segmentLength)
        }
    }
}
