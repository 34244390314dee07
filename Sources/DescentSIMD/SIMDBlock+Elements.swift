public import DescentCore

extension SIMDBlock {
    public mutating func withUnsafeElements<Result>(_ body: (UnsafeBlockElements) -> Result) -> Result {
        materialize()
        if stripe.stride != 0 { return withTransposedElements(body) }
        let count = count
        let access = slotAccess
        let empty = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
        let parameters = memory.parameters.map {
            UnsafeMutableBufferPointer(start: $0.floats(parameterIndex) + stripe.start, count: count)
        }
        let elements = UnsafeBlockElements(
            gradient: UnsafeMutableBufferPointer(start: source, count: count), parameters: parameters ?? empty,
            output: empty
        ) { index in
            guard index < access.count else { return empty }
            return UnsafeMutableBufferPointer(
                start: slot(index, offset: stripe.start, compact: 0, count: count, isLent: !access.isKept), count: count
            )
        }
        let result = body(elements)
        if access.isKept {
            for index in 0..<access.count { keepSlot(index, offset: stripe.start, compact: 0, count: count) }
        }
        return result
    }

    /// Gives rows as rows where units are the last dimension: in copies, put back afterwards.
    private mutating func withTransposedElements<Result>(_ body: (UnsafeBlockElements) -> Result) -> Result {
        let access = slotAccess
        let empty = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
        let count = count
        let gradient = scratch.transposed(0)
        transpose(from: source, sourceStride, into: gradient)
        let parameters = memory.parameters.map { tensors in
            let copy = scratch.transposed(1)
            transpose(from: tensors.floats(parameterIndex) + stripe.start, stripe.stride, into: copy)
            return UnsafeMutableBufferPointer(start: copy, count: count)
        }
        let elements = UnsafeBlockElements(
            gradient: UnsafeMutableBufferPointer(start: gradient, count: count), parameters: parameters ?? empty,
            output: empty
        ) { index in
            guard index < access.count else { return empty }
            let copy = scratch.transposed(2 + index)
            for line in 0..<stripe.lines {
                _ = slot(
                    index, offset: stripe.start + line * stripe.stride, compact: line * stripe.lineLength,
                    count: stripe.lineLength, isLent: true)
            }
            transpose(from: scratch.slot(index), stripe.lineLength, into: copy)
            return UnsafeMutableBufferPointer(start: copy, count: count)
        }
        let result = body(elements)
        transposeBack(gradient, to: source, sourceStride)
        if let copy = parameters?.baseAddress, let tensors = memory.parameters {
            transposeBack(copy, to: tensors.floats(parameterIndex) + stripe.start, stripe.stride)
        }
        if access.isKept {
            for index in 0..<access.count {
                transposeBack(scratch.transposed(2 + index), to: scratch.slot(index), stripe.lineLength)
                for line in 0..<stripe.lines { returnSlot(index, line: line) }
            }
        }
        return result
    }

    private func transpose(
        from lines: UnsafePointer<Float>, _ stride: Int, into rows: UnsafeMutablePointer<Float>
    ) {
        for line in 0..<stripe.lines {
            for unit in 0..<stripe.lineLength { rows[unit * stripe.lines + line] = lines[line * stride + unit] }
        }
    }

    private func transposeBack(
        _ rows: UnsafePointer<Float>, to lines: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        for line in 0..<stripe.lines {
            for unit in 0..<stripe.lineLength { lines[line * stride + unit] = rows[unit * stripe.lines + line] }
        }
    }

    /// A slot of the stage at work as float32: in memory, or in scratch where it is stored in 16 bits or lent.
    func slot(
        _ index: Int, offset: Int, compact: Int, count: Int, isLent: Bool = false
    ) -> UnsafeMutablePointer<Float> {
        let tensors = memory.slots[slotAccess.first + index]
        if tensors.elementType == .float32 {
            let address = tensors.floats(parameterIndex) + offset
            guard isLent else { return address }
            let copy = scratch.slot(index) + compact
            copy.update(from: address, count: count)
            return copy
        }
        let copy = scratch.slot(index) + compact
        kernels.widen(tensors.words(parameterIndex) + offset, tensors.elementType, into: copy, count: count)
        return copy
    }

    /// Rounds a slot that was widened into scratch back to where it is stored.
    func keepSlot(_ index: Int, offset: Int, compact: Int, count: Int) {
        let tensors = memory.slots[slotAccess.first + index]
        guard tensors.elementType != .float32 else { return }
        let words = tensors.words(parameterIndex) + offset
        let copy = scratch.slot(index) + compact
        if tensors.elementType == .bfloat16 {
            let seed = UInt32(truncatingIfNeeded: memory.appliedSteps) &* 0x85eb_ca6b
            let place = UInt32(truncatingIfNeeded: parameterIndex << 3 | index) &* 0xc2b2_ae35
            kernels.narrowAtRandom(copy, into: words, count: count, seed: seed ^ place, first: offset)
        } else {
            kernels.narrow(copy, tensors.elementType, into: words, count: count)
        }
    }

    /// Puts one line of a slot back from scratch.
    private func returnSlot(_ index: Int, line: Int) {
        let tensors = memory.slots[slotAccess.first + index]
        let (offset, compact) = (stripe.start + line * stripe.stride, line * stripe.lineLength)
        if tensors.elementType == .float32 {
            (tensors.floats(parameterIndex) + offset).update(
                from: scratch.slot(index) + compact, count: stripe.lineLength)
        } else {
            keepSlot(index, offset: offset, compact: compact, count: stripe.lineLength)
        }
    }
}
