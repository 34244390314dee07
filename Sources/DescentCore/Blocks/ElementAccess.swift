extension GradientBlock {
    /// The number of elements in the block.
    public var count: Int { rowCount * columnCount }

    /// Gives access to the memory of the block for the duration of a call.
    @inlinable @inline(__always)
    public mutating func withUnsafeElements<Result>(_ body: (UnsafeBlockElements) -> Result) -> Result {
        let memory = beginAccess()
        defer { endAccess(memory) }
        return body(memory)
    }

    /// Gives the block's elements to read and to change, row by row.
    ///
    /// This is all that an element-wise stage needs:
    /// ```swift
    /// block.withElements { elements in
    ///     for index in elements.indices { elements[index] = ReproducibleMath.tanh(elements[index]) }
    /// }
    /// ```
    public mutating func withElements<Result>(_ body: (inout MutableSpan<Float>) -> Result) -> Result {
        withUnsafeElements { memory in
            var gradient = memory.gradient.mutableSpan
            return body(&gradient)
        }
    }

    /// Transforms each element by itself.
    ///
    /// The closure becomes the body of a loop that the compiler can vectorize:
    /// ```swift
    /// block.transformEach { $0 /= 1 + $0.magnitude }
    /// ```
    @inlinable @inline(__always)
    public mutating func transformEach(_ body: (inout Float) -> Void) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress else { return }
        for index in 0..<memory.gradient.count { body(&gradient[index]) }
    }

    /// Gives the block's elements together with the parameters that they are the gradient of.
    ///
    /// - Precondition: The stage has ``Requirement/parameters`` among its requirements. (An optimizer needs not.)
    public mutating func withElements<Result>(
        _ body: (_ gradient: inout MutableSpan<Float>, _ parameters: Span<Float>) -> Result
    ) -> Result {
        slotAccess.requireParameters()
        return withUnsafeElements { memory in
            var gradient = memory.gradient.mutableSpan
            return body(&gradient, UnsafeBufferPointer(memory.parameters).span)
        }
    }

    /// Gives the elements of an update together with the gradient that the optimizer made it of.
    ///
    /// - Precondition: The stage stands behind an optimizer and has ``Requirement/gradient`` among its requirements.
    public mutating func withUpdateAndGradient<Result>(
        _ body: (_ update: inout MutableSpan<Float>, _ gradient: Span<Float>) -> Result
    ) -> Result {
        let memory = beginAccess()
        defer { endAccess(memory) }
        var update = memory.gradient.mutableSpan
        guard memory.original.count == memory.gradient.count else {
            slotAccess.report(.gradient)
            return body(&update, UnsafeBufferPointer(memory.gradient).span)
        }
        return body(&update, UnsafeBufferPointer(memory.original).span)
    }

    /// The sum of the elements times those of one of the stage's slots, in Double and in their order.
    ///
    /// - Parameter slot: The slot's offset from the stage's first; it has the shape of the parameter.
    /// - Returns: The sum.
    public mutating func dotProduct(slot: Int) -> Double {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard memory.slots[slot].count == memory.gradient.count else {
            slotAccess.report(.slot(slot))
            return 0
        }
        let (elements, values) = (memory.gradient, memory.slots[slot])
        var sums = SIMD8<Double>()
        let whole = elements.count / 8 * 8
        for start in stride(from: 0, to: whole, by: 8) {
            for lane in 0..<8 { sums[lane] += Double(elements[start + lane]) * Double(values[start + lane]) }
        }
        for index in whole..<elements.count { sums[index - whole] += Double(elements[index]) * Double(values[index]) }
        return (0..<8).reduce(0) { $0 + sums[$1] }
    }

    /// Gives the block's elements together with the stage's first slot.
    ///
    /// Changes of the slot last only if the step is applied.
    ///
    /// - Precondition: The stage declares a slot.
    public mutating func withElementsAndSlot<Result>(
        _ body: (_ gradient: inout MutableSpan<Float>, _ slot: inout MutableSpan<Float>) -> Result
    ) -> Result {
        let memory = beginAccess()
        defer { endAccess(memory) }
        var gradient = memory.gradient.mutableSpan
        guard memory.slots[0].count < gradient.count else {
            var slot = memory.slots[0].mutableSpan
            return body(&gradient, &slot)
        }
        slotAccess.reportSlot(0)
        var instead = [Float](repeating: 0, count: gradient.count)
        var slot = instead.mutableSpan
        return body(&gradient, &slot)
    }
}

extension UpdateBlock {
    /// Updates each parameter along its gradient.
    ///
    /// The closure becomes the body of a loop that the compiler can vectorize:
    /// ```swift
    /// block.updateEach { gradient, parameter in parameter -= rate * gradient }
    /// ```
    @inlinable @inline(__always)
    public mutating func updateEach(_ body: (_ gradient: Float, _ parameter: inout Float) -> Void) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
        else { return }
        for index in 0..<memory.gradient.count { body(gradient[index], &parameters[index]) }
    }

    /// Updates each parameter, and its element of the optimizer's first slot, along its gradient.
    @inlinable @inline(__always)
    public mutating func updateEach(
        _ body: (_ gradient: Float, _ parameter: inout Float, _ slot: inout Float) -> Void
    ) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
        else { return }
        guard let slot = memory.slots[0].baseAddress, memory.slots[0].count == memory.gradient.count
        else { return slotAccess.reportSlot(0) }
        for index in 0..<memory.gradient.count { body(gradient[index], &parameters[index], &slot[index]) }
    }

    /// Updates each parameter, and its elements of the optimizer's first two slots, along its gradient.
    @inlinable @inline(__always)
    public mutating func updateEach(
        _ body: (_ gradient: Float, _ parameter: inout Float, _ first: inout Float, _ second: inout Float) -> Void
    ) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
        else { return }
        guard let first = memory.slots[0].baseAddress, let second = memory.slots[1].baseAddress,
            memory.slots[1].count == memory.gradient.count
        else { return slotAccess.reportSlot(1) }
        for index in 0..<memory.gradient.count {
            body(gradient[index], &parameters[index], &first[index], &second[index])
        }
    }

    /// Updates each parameter, and its elements of the optimizer's first three slots, along its gradient.
    @inlinable @inline(__always)
    public mutating func updateEach(
        _ body: (
            _ gradient: Float, _ parameter: inout Float, _ first: inout Float, _ second: inout Float,
            _ third: inout Float
        ) -> Void
    ) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
        else { return }
        guard let first = memory.slots[0].baseAddress, let second = memory.slots[1].baseAddress,
            let third = memory.slots[2].baseAddress, memory.slots[2].count == memory.gradient.count
        else { return slotAccess.reportSlot(2) }
        for index in 0..<memory.gradient.count {
            body(gradient[index], &parameters[index], &first[index], &second[index], &third[index])
        }
    }

    /// Turns each gradient into the direction, with its parameter.
    ///
    /// ```swift
    /// block.directEach { gradient, parameter in gradient += decay * parameter }
    /// ```
    @inlinable @inline(__always)
    public mutating func directEach(_ body: (_ gradient: inout Float, _ parameter: Float) -> Void) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
        else { return }
        for index in 0..<memory.gradient.count { body(&gradient[index], parameters[index]) }
    }

    /// Turns each gradient into the direction, with its parameter and its element of the optimizer's first slot.
    @inlinable @inline(__always)
    public mutating func directEach(
        _ body: (_ gradient: inout Float, _ parameter: Float, _ slot: inout Float) -> Void
    ) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
        else { return }
        guard let slot = memory.slots[0].baseAddress, memory.slots[0].count == memory.gradient.count
        else { return slotAccess.reportSlot(0) }
        for index in 0..<memory.gradient.count { body(&gradient[index], parameters[index], &slot[index]) }
    }

    /// Turns each gradient into the direction, with its parameter and elements of the optimizer's first two slots.
    @inlinable @inline(__always)
    public mutating func directEach(
        _ body: (_ gradient: inout Float, _ parameter: Float, _ first: inout Float, _ second: inout Float) -> Void
    ) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
        else { return }
        guard let first = memory.slots[0].baseAddress, let second = memory.slots[1].baseAddress,
            memory.slots[1].count == memory.gradient.count
        else { return slotAccess.reportSlot(1) }
        for index in 0..<memory.gradient.count {
            body(&gradient[index], parameters[index], &first[index], &second[index])
        }
    }

    /// Turns each gradient into the direction, with its parameter and elements of the optimizer's first three slots.
    @inlinable @inline(__always)
    public mutating func directEach(
        _ body: (
            _ gradient: inout Float, _ parameter: Float, _ first: inout Float, _ second: inout Float,
            _ third: inout Float
        ) -> Void
    ) {
        let memory = beginAccess()
        defer { endAccess(memory) }
        guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
        else { return }
        guard let first = memory.slots[0].baseAddress, let second = memory.slots[1].baseAddress,
            let third = memory.slots[2].baseAddress, memory.slots[2].count == memory.gradient.count
        else { return slotAccess.reportSlot(2) }
        for index in 0..<memory.gradient.count {
            body(&gradient[index], parameters[index], &first[index], &second[index], &third[index])
        }
    }
}
