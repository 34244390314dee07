extension GradientBlock {
    /// The number of elements in the block.
    public var count: Int { rowCount * columnCount }

    /// Gives the block's elements to read and to change, row by row.
    ///
    /// This is all that an element-wise stage needs:
    /// ```swift
    /// block.withElements { elements in
    ///     for index in elements.indices { elements[index] = tanh(elements[index]) }
    /// }
    /// ```
    public mutating func withElements<Result>(_ body: (inout MutableSpan<Float>) -> Result) -> Result {
        withUnsafeElements { memory in
            var gradient = memory.gradient.mutableSpan
            return body(&gradient)
        }
    }

    /// Gives the block's elements together with the parameters that they are the gradient of.
    ///
    /// In a sweep without parameters (a chain alone that was not given any) the second span is empty.
    public mutating func withElements<Result>(
        _ body: (_ gradient: inout MutableSpan<Float>, _ parameters: Span<Float>) -> Result
    ) -> Result {
        withUnsafeElements { memory in
            var gradient = memory.gradient.mutableSpan
            return body(&gradient, UnsafeBufferPointer(memory.parameters).span)
        }
    }

    /// Gives the block's elements together with the stage's first slot.
    ///
    /// Changes of the slot last only if the step is applied.
    public mutating func withElementsAndSlot<Result>(
        _ body: (_ gradient: inout MutableSpan<Float>, _ slot: inout MutableSpan<Float>) -> Result
    ) -> Result {
        withUnsafeElements { memory in
            var gradient = memory.gradient.mutableSpan
            var slot = memory.slots.0.mutableSpan
            return body(&gradient, &slot)
        }
    }
}

extension UpdateBlock {
    /// Gives the gradient to read and the parameters to change.
    public mutating func update(
        _ body: (_ gradient: Span<Float>, _ parameters: inout MutableSpan<Float>) -> Void
    ) {
        withUnsafeElements { memory in
            var parameters = memory.parameters.mutableSpan
            body(UnsafeBufferPointer(memory.gradient).span, &parameters)
        }
    }

    /// Gives the gradient to read, and the parameters and the optimizer's first slot to change.
    public mutating func update(
        _ body: (
            _ gradient: Span<Float>, _ parameters: inout MutableSpan<Float>, _ slot: inout MutableSpan<Float>
        ) -> Void
    ) {
        withUnsafeElements { memory in
            var parameters = memory.parameters.mutableSpan
            var slot = memory.slots.0.mutableSpan
            body(UnsafeBufferPointer(memory.gradient).span, &parameters, &slot)
        }
    }

    /// Gives the gradient to read, and the parameters and the optimizer's first two slots to change.
    public mutating func update(
        _ body: (
            _ gradient: Span<Float>, _ parameters: inout MutableSpan<Float>, _ first: inout MutableSpan<Float>,
            _ second: inout MutableSpan<Float>
        ) -> Void
    ) {
        withUnsafeElements { memory in
            var parameters = memory.parameters.mutableSpan
            var first = memory.slots.0.mutableSpan
            var second = memory.slots.1.mutableSpan
            body(UnsafeBufferPointer(memory.gradient).span, &parameters, &first, &second)
        }
    }
}
