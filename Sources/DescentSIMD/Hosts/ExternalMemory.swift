public import DescentCore

// What a host lends is named and checked here, borrowed for the duration of a call, and handed to the calls for tensors.

extension GradientPipeline where Backend == SIMDBackend {
    /// Takes in one micro-batch of gradients and updates parameters in external memory, where they are or elsewhere.
    ///
    /// - Parameters:
    ///   - parameters: The parameters, in any order; for the duration of the call.
    ///   - updated: Memory for the updated parameters, in any order and of the same types, of hosts who have to find the old
    ///     ones unchanged: those are then only read. All of it is written if the outcome is applied, or diverged; nothing
    ///     otherwise. Nil updates parameters where they are.
    ///   - gradients: Their gradients, in any order and of any types; they are only read. Some may be absent where the
    ///     configuration's `missing` says what that means.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: `DescentError` if names, sizes or types do not match, or if tensors share memory that is
    ///   written, before anything has changed.
    public mutating func step(
        unsafeParameters parameters: [UnsafeTensor], into updated: [UnsafeTensor]? = nil,
        unsafeGradients gradients: [UnsafeTensor], weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        return try withParameters(parameters, into: updated, beside: gradients) {
            pipeline, parameters, updated, memory throws(DescentError) in
            let layout = pipeline.layout
            return try layout.withTiedSummed(gradients) { gradients throws(DescentError) in
                try TensorSet.withUnsafeGradients(gradients, layout: layout) {
                    gradients, isAbsent throws(DescentError) in
                    try memory.requireSeparate()
                    return try pipeline.step(
                        parameters, into: updated, gradients: gradients, isAbsent: isAbsent, weight: weight,
                        lossScale: lossScale, closingWindow: closingWindow)
                }
            }
        }
    }

    /// Closes a micro-batch whose gradients have been received one by one; see `GradientPipeline.receive(_:of:weight:)`.
    ///
    /// - Parameters:
    ///   - parameters: The parameters, in any order; for the duration of the call.
    ///   - updated: Memory for the updated parameters; nil updates them where they are.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: `DescentError`, as the call that takes all gradients does.
    public mutating func step(
        unsafeParameters parameters: [UnsafeTensor], into updated: [UnsafeTensor]? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        try withParameters(parameters, into: updated) { pipeline, parameters, updated, memory throws(DescentError) in
            try memory.requireSeparate()
            guard var updated else { return try pipeline.step(&parameters, closingWindow: closingWindow) }
            return try pipeline.step(parameters, into: &updated, closingWindow: closingWindow)
        }
    }

    /// Closes an open window early and updates parameters in external memory with what it holds.
    ///
    /// - Parameters:
    ///   - parameters: The parameters, in any order; for the duration of the call.
    ///   - updated: Memory for the updated parameters; nil updates them where they are.
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: `DescentError`, as steps do.
    public mutating func flush(
        unsafeParameters parameters: [UnsafeTensor], into updated: [UnsafeTensor]? = nil
    ) throws(DescentError) -> StepOutcome? {
        try withParameters(parameters, into: updated) { pipeline, parameters, updated, memory throws(DescentError) in
            try memory.requireSeparate()
            guard var updated else { return try pipeline.flush(&parameters) }
            return try pipeline.flush(parameters, into: &updated)
        }
    }

    /// Borrows parameters, and memory for updated ones, for a call.
    private mutating func withParameters<Result>(
        _ parameters: [UnsafeTensor], into updated: [UnsafeTensor]?, beside gradients: [UnsafeTensor] = [],
        _ body: (inout Self, inout TensorSet, TensorSet?, LentMemory) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        let layout = layout
        let types = (layout.types(of: parameters), layout.types(of: gradients))
        try lentTypes.requireSame(types.0, as: .parameter, layout)
        try lentTypes.requireSame(types.1, as: .gradient, layout)
        let (parameters, updated) = (try layout.withoutTied(parameters), try updated.map(layout.withoutTied))
        let result = try TensorSet.withUnsafeTensors(parameters, layout: layout, mayDiffer: true) {
            borrowed throws(DescentError) in
            let memory = LentMemory(
                written: updated ?? parameters, parameters: updated == nil ? [] : parameters, gradients: gradients)
            return try TensorSet.withOptionalTensors(updated, layout: layout) { other throws(DescentError) in
                try body(&self, &borrowed, other, memory)
            }
        }
        lentTypes.note(types.0, as: .parameter)
        lentTypes.note(types.1, as: .gradient)
        return result
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
    ///   - parameters: The parameters, for stages that look at them; they are only read, and may be of any types.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Applied if the optimizer is to follow, otherwise accumulated or skipped.
    /// - Throws: `DescentError` if names, sizes or types do not match, or if tensors share memory that is
    ///   written, before anything has changed.
    public mutating func transform(
        unsafeGradients gradients: [UnsafeTensor], unsafeParameters parameters: [UnsafeTensor]? = nil,
        weight: Double = 1, lossScale: Float? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        try layout.requireOneEach(gradients)
        let gradients = try layout.withoutTied(gradients)
        return try withParameters(parameters, written: gradients, gradients: gradients) {
            chain, parameters, memory throws(DescentError) in
            let layout = chain.layout
            return try TensorSet.withUnsafeGradients(
                gradients, layout: layout
            ) { gradients, isAbsent throws(DescentError) in
                try memory.requireSeparate()
                return try chain.transform(
                    &gradients, isAbsent: isAbsent, parameters: parameters, weight: weight, lossScale: lossScale,
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
        let results = try layout.withoutTied(results)
        return try withParameters(parameters, written: results) { chain, parameters, memory throws(DescentError) in
            try TensorSet.withUnsafeTensors(
                results, layout: chain.layout, mayDiffer: true
            ) { results throws(DescentError) in
                try memory.requireSeparate()
                return try chain.flush(into: &results, parameters: parameters)
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
    ///   - parameters: The parameters, for stages that look at them; they are only read, and may be of any types.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Applied if the optimizer is to follow, otherwise accumulated or skipped.
    /// - Throws: `DescentError` if names, sizes or types do not match, or if results share memory with each other or with what
    ///   is read, before anything has changed.
    public mutating func transform(
        unsafeGradients gradients: [UnsafeTensor], into results: [UnsafeTensor],
        unsafeParameters parameters: [UnsafeTensor]? = nil, weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        let results = try layout.withoutTied(results)
        return try withParameters(parameters, written: results, beside: gradients, gradients: gradients) {
            chain, parameters, memory throws(DescentError) in
            let layout = chain.layout
            return try layout.withTiedSummed(gradients) { gradients throws(DescentError) in
                try TensorSet.withUnsafeGradients(gradients, layout: layout) {
                    gradients, isAbsent throws(DescentError) in
                    try TensorSet.withUnsafeTensors(results, layout: layout, mayDiffer: true) {
                        results throws(DescentError) in
                        try memory.requireSeparate()
                        return try chain.transform(
                            gradients, into: &results, isAbsent: isAbsent, parameters: parameters, weight: weight,
                            lossScale: lossScale, closingWindow: closingWindow)
                    }
                }
            }
        }
    }

    /// Borrows parameters that are only read for a call, if there are any.
    private mutating func withParameters<Result>(
        _ parameters: [UnsafeTensor]?, written: [UnsafeTensor], beside read: [UnsafeTensor] = [],
        gradients: [UnsafeTensor] = [], _ body: (inout Self, TensorSet?, LentMemory) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        let layout = layout
        let types = (layout.types(of: parameters ?? []), layout.types(of: gradients))
        try lentTypes.requireSame(types.0, as: .parameter, layout)
        try lentTypes.requireSame(types.1, as: .gradient, layout)
        let parameters = try parameters.map(layout.withoutTied)
        let memory = LentMemory(written: written, parameters: parameters ?? [], gradients: read)
        let result = try TensorSet.withOptionalTensors(parameters, layout: layout) { borrowed throws(DescentError) in
            try body(&self, borrowed, memory)
        }
        lentTypes.note(types.0, as: .parameter)
        lentTypes.note(types.1, as: .gradient)
        return result
    }
}

/// What a call writes and what it only reads, to be looked at once everything else has been found to fit.
private struct LentMemory {
    let written: [UnsafeTensor]
    let parameters: [UnsafeTensor]
    let gradients: [UnsafeTensor]

    func requireSeparate() throws(DescentError) {
        try DescentError.requireSeparate(written: written, parameters: parameters, gradients: gradients)
    }
}

extension ParameterLayout {
    /// How the tensors of parameters are stored; nil for those that are not there, and empty where none is.
    fileprivate func types(of tensors: [UnsafeTensor]) -> [ElementType?] {
        guard !tensors.isEmpty else { return [] }
        var types = [ElementType?](repeating: nil, count: count)
        for tensor in tensors {
            if let index = index(named: tensor.name) { types[index] = tensor.elementType }
        }
        return types
    }
}
