// How parameters are updated into other memory, for owners who have to find those from before unchanged.

extension GradientPipeline {
    /// Takes in one micro-batch of gradients and, if that closes the window, writes the updated parameters elsewhere.
    ///
    /// - Parameters:
    ///   - parameters: The parameters before the step, which are only read.
    ///   - updated: Receives all parameters as they are after the step if the outcome is applied, or diverged; nothing is
    ///     written to it otherwise. Stored in the same element type.
    ///   - gradients: The gradients of the loss times ``lossScale``.
    ///   - weight: The micro-batch's weight, such as its number of tokens, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked; nil trusts that it was ``lossScale``.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: ``DescentError``, as ``step(_:gradients:weight:lossScale:closingWindow:)`` does, and for an element type that
    ///   is not that of the parameters.
    public mutating func step(
        _ parameters: Backend.Tensors, into updated: inout Backend.Tensors, gradients: Backend.Tensors,
        weight: Double = 1, lossScale: Float? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        updated.makeUnique()
        return try engine.gatheringRows(of: &updated) { (engine, updated) throws(DescentError) in
            try engine.step(
                .init(gradients: gradients, parameters: parameters, updatedParameters: updated), weight: weight,
                lossScale: lossScale, closesWindow: closingWindow)
        }
    }

    /// Closes a micro-batch whose gradients have been received one by one, and writes the updated parameters elsewhere.
    ///
    /// See ``receive(_:of:weight:)`` and ``step(_:into:gradients:weight:lossScale:closingWindow:)``.
    ///
    /// - Parameters:
    ///   - parameters: The parameters before the step, which are only read.
    ///   - updated: Receives all parameters as they are after the step if the outcome is applied, or diverged.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: ``DescentError``, as ``step(_:closingWindow:)`` does.
    public mutating func step(
        _ parameters: Backend.Tensors, into updated: inout Backend.Tensors, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        updated.makeUnique()
        return try engine.gatheringRows(of: &updated) { (engine, updated) throws(DescentError) in
            try engine.stepReceived(
                .init(parameters: parameters, updatedParameters: updated), closesWindow: closingWindow)
        }
    }

    /// Closes an open window early, and writes the updated parameters elsewhere.
    ///
    /// - Parameters:
    ///   - parameters: The parameters before the step, which are only read.
    ///   - updated: Receives all parameters as they are after the step if the outcome is applied, or diverged.
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: ``DescentError``, as ``flush(_:)`` does.
    public mutating func flush(
        _ parameters: Backend.Tensors, into updated: inout Backend.Tensors
    ) throws(DescentError) -> StepOutcome? {
        try engine.requireNothingReceived()
        guard engine.isWindowOpen else { return nil }
        updated.makeUnique()
        return try engine.gatheringRows(of: &updated) { (engine, updated) throws(DescentError) in
            try engine.step(.init(parameters: parameters, updatedParameters: updated), closesWindow: true)
        }
    }

    /// The float32 master copies of parameters of 16 bits, where the configuration asks for them; nil where it does not.
    ///
    /// A master is 0 until the first applied step has made it, and of parameters that are frozen there is none. It shares its
    /// memory with the pipeline until the next step, which leaves this value as it is.
    public var masterParameters: Backend.Tensors? { engine.slotTable.ofMasters.map { engine.sweeps.slots[$0] } }
}
