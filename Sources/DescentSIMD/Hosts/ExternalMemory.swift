public import DescentCore

extension GradientPipeline where Backend == SIMDBackend {
    /// Takes in one micro-batch of gradients and updates parameters in external memory.
    ///
    /// - Parameters:
    ///   - parameters: The parameters, in any order; for the duration of the call.
    ///   - gradients: Their gradients, in any order and of any types; they are only read. Some may be absent where the
    ///     configuration's `missing` says what that means.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: `DescentError` if names or sizes do not match, or if tensors share memory that is
    ///   written, before anything has changed.
    public mutating func step(
        unsafeParameters parameters: [UnsafeTensor], unsafeGradients gradients: [UnsafeTensor], weight: Double = 1,
        lossScale: Float? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        let (layout, written, missing) = (layout, parameters, configuration.missing)
        return try TensorSet.withUnsafeTensors(parameters, layout: layout) { parameters throws(DescentError) in
            try TensorSet.withUnsafeGradients(gradients, layout: layout, missing: missing) {
                external, isAbsent throws(DescentError) in
                try DescentError.requireSeparate(written: written, read: gradients)
                return try step(
                    &parameters, gradients: external, isAbsent: isAbsent, weight: weight, lossScale: lossScale,
                    closingWindow: closingWindow)
            }
        }
    }

    /// Takes in the gradient of one parameter as soon as a backward pass has made it.
    ///
    /// See `GradientPipeline.receive(_:of:weight:)`.
    ///
    /// - Parameters:
    ///   - gradient: The elements in row-major order; they are only read, and not kept.
    ///   - name: The name of the parameter.
    ///   - weight: The micro-batch's weight, the same for all its gradients.
    /// - Throws: `DescentError` if there is no such parameter, or if the gradient has another size or has
    ///   been received before.
    public mutating func receive(
        _ gradient: Span<Float>, for name: String, weight: Double = 1
    ) throws(DescentError) {
        // A closure of the standard library rethrows any error; keep the typed one aside.
        var failure: DescentError?
        gradient.withUnsafeBufferPointer { elements in
            do throws(DescentError) {
                try receive(UnsafeTensor(name, UnsafeMutableBufferPointer(mutating: elements)), weight: weight)
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Takes in the gradient of one parameter, which lies in external memory, for the duration of the call.
    ///
    /// - Throws: `DescentError` if there is no such parameter, or if the gradient has another size or has
    ///   been received before.
    public mutating func receive(_ gradient: UnsafeTensor, weight: Double = 1) throws(DescentError) {
        let (gradients, parameter) = try TensorSet.borrowing(gradient, layout: layout)
        try receive(gradients, of: parameter, weight: weight)
    }
}

extension GradientChain where Backend == SIMDBackend {
    /// Transforms, in place, gradients in external memory.
    ///
    /// - Parameters:
    ///   - gradients: The gradients of one micro-batch, in any order and of any types; for the duration of the call. Some
    ///     may be absent where the configuration's `missing` says what that means.
    ///   - parameters: The parameters, for stages that look at them; they are only read.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Applied if the optimizer is to follow, otherwise accumulated or skipped.
    /// - Throws: `DescentError` if names or sizes do not match, or if tensors share memory that is
    ///   written, before anything has changed.
    public mutating func transform(
        unsafeGradients gradients: [UnsafeTensor], unsafeParameters parameters: [UnsafeTensor]? = nil,
        weight: Double = 1, lossScale: Float? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        let (layout, missing) = (layout, configuration.missing)
        return try TensorSet.withUnsafeGradients(gradients, layout: layout, missing: missing) {
            external, isAbsent throws(DescentError) in
            let read = parameters ?? []
            return try TensorSet.withOptionalTensors(parameters, layout: layout) { parameters throws(DescentError) in
                try DescentError.requireSeparate(written: gradients, read: read)
                return try transform(
                    &external, isAbsent: isAbsent, parameters: parameters, weight: weight, lossScale: lossScale,
                    closingWindow: closingWindow)
            }
        }
    }

    /// Closes an open window early.
    ///
    /// - Parameters:
    ///   - results: Receive the transformed gradients if the outcome is applied, in any order and of any types.
    ///   - parameters: The parameters, for stages that look at them; they are only read.
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: `DescentError`, as the calls that transform gradients do.
    public mutating func flush(
        into results: [UnsafeTensor], unsafeParameters parameters: [UnsafeTensor]? = nil
    ) throws(DescentError) -> StepOutcome? {
        let layout = layout
        return try TensorSet.withUnsafeTensors(
            results, layout: layout, mayDiffer: true
        ) { external throws(DescentError) in
            let read = parameters ?? []
            return try TensorSet.withOptionalTensors(parameters, layout: layout) { parameters throws(DescentError) in
                try DescentError.requireSeparate(written: results, read: read)
                return try flush(into: &external, parameters: parameters)
            }
        }
    }

    /// Transforms gradients in external memory, which are only read, and writes the result to other memory.
    ///
    /// - Parameters:
    ///   - gradients: The gradients of one micro-batch, in any order and of any types; for the duration of the call. Some
    ///     may be absent where the configuration's `missing` says what that means.
    ///   - results: Where the transformed gradients go, in any order and of any types. They are written if the outcome is
    ///     applied, or diverged, when they are not finite; not those of parameters that are left out because their gradients
    ///     are absent.
    ///   - parameters: The parameters, for stages that look at them; they are only read.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Applied if the optimizer is to follow, otherwise accumulated or skipped.
    /// - Throws: `DescentError` if names or sizes do not match, or if results share memory with each other or with what is
    ///   read, before anything has changed.
    public mutating func transform(
        unsafeGradients gradients: [UnsafeTensor], into results: [UnsafeTensor],
        unsafeParameters parameters: [UnsafeTensor]? = nil, weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        let (layout, written, missing) = (layout, results, configuration.missing)
        return try TensorSet.withUnsafeGradients(gradients, layout: layout, missing: missing) {
            external, isAbsent throws(DescentError) in
            try TensorSet.withUnsafeTensors(
                results, layout: layout, mayDiffer: true
            ) { results throws(DescentError) in
                let read = gradients + (parameters ?? [])
                return try TensorSet.withOptionalTensors(parameters, layout: layout) {
                    parameters throws(DescentError) in
                    try DescentError.requireSeparate(written: written, read: read)
                    return try transform(
                        external, into: &results, isAbsent: isAbsent, parameters: parameters, weight: weight,
                        lossScale: lossScale, closingWindow: closingWindow)
                }
            }
        }
    }
}
