public import DescentCore

/// A host's optimizer with a chain in front of it; it goes wherever the optimizer went.
///
/// ```swift
/// var optimizer = try WrappedOptimizer(hostOptimizer, for: layout) { ClipByGlobalNorm(1) }
/// try optimizer.update(&model, gradients: gradients)
/// ```
/// What a chain can do, its ``chain`` does: it is saved and resumed, and its settings change, as those of any other.
public struct WrappedOptimizer<Base: HostOptimizer> {
    /// The host's optimizer.
    public var base: Base
    /// The chain in front of it.
    public var chain: GradientChain<SIMDBackend>
    /// The error of a call that could not throw, which the next one that can throws.
    public private(set) var keptError: DescentError?

    /// Puts a chain in front of an optimizer.
    ///
    /// - Parameters:
    ///   - base: The host's optimizer.
    ///   - layout: The names and shapes of the gradients.
    ///   - configuration: How the chain runs, whatever its stages.
    ///   - backend: Who does the chain's arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    /// - Throws: `DescentError` for settings out of range and for stages in the wrong order.
    public init(
        _ base: Base, for layout: ParameterLayout, configuration: PipelineConfiguration = PipelineConfiguration(),
        on backend: SIMDBackend = SIMDBackend(), @ChainBuilder _ stages: () -> [any Stage]
    ) throws(DescentError) {
        try self.init(base, behind: GradientChain(for: layout, configuration: configuration, on: backend, stages))
    }

    /// Puts a chain that is already there in front of an optimizer, such as one that was resumed from a checkpoint.
    ///
    /// - Parameters:
    ///   - base: The host's optimizer, whose own state is the host's to resume.
    ///   - chain: The chain.
    public init(_ base: Base, behind chain: GradientChain<SIMDBackend>) {
        self.base = base
        self.chain = chain
    }

    /// What to multiply the loss by before taking gradients.
    public var lossScale: Float { chain.lossScale }

    /// The chain's plan, for people; "gradients out" is where the host's optimizer takes over.
    public func explain() -> String { chain.explain() }

    /// Has a closure told of the outcome of every step to come; see `GradientChain.observe(_:)`.
    public mutating func observe(_ observer: @escaping @Sendable (StepEvent) -> Void) { chain.observe(observer) }

    /// Transforms gradients and, if the step is applied, has the host's optimizer update the model with them.
    ///
    /// - Parameters:
    ///   - model: The model; nothing but an applied step reaches it.
    ///   - gradients: The gradients of one micro-batch. The caller's are not changed, unless they are references and have no
    ///     `makeResults()`.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: `DescentError` if names or sizes do not match, before anything has changed; and the ``keptError`` of an
    ///   earlier call, without a step.
    @discardableResult
    public mutating func update(
        _ model: inout Base.Model, gradients: Base.Gradients, weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        try throwKeptError()
        var gradients = gradients
        let outcome: StepOutcome
        if var results = gradients.makeResults() {
            outcome = try base.withUnsafeParameters(of: model) { parameters throws(DescentError) in
                try gradients.withUnsafeTensors { (gradients) throws(DescentError) in
                    try results.withUnsafeTensors { (results) throws(DescentError) in
                        try chain.transform(
                            unsafeGradients: gradients, into: results, unsafeParameters: parameters, weight: weight,
                            lossScale: lossScale, closingWindow: closingWindow)
                    }
                }
            }
            gradients = results
        } else {
            outcome = try base.withUnsafeParameters(of: model) { parameters throws(DescentError) in
                try gradients.withUnsafeTensors { (gradients) throws(DescentError) in
                    try chain.transform(
                        unsafeGradients: gradients, unsafeParameters: parameters, weight: weight,
                        lossScale: lossScale, closingWindow: closingWindow)
                }
            }
        }
        if outcome.isApplied { base.update(&model, gradients: gradients) }
        return outcome
    }

    /// Closes an open window early and, if the step is applied, has the host's optimizer update the model.
    ///
    /// - Parameters:
    ///   - model: The model; nothing but an applied step reaches it.
    ///   - gradients: Gradients of the same names and shapes, whose elements are replaced by the window's in a copy.
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: `DescentError`, as `update` does.
    @discardableResult
    public mutating func flush(
        _ model: inout Base.Model, into gradients: Base.Gradients
    ) throws(DescentError) -> StepOutcome? {
        try throwKeptError()
        var gradients = gradients.makeResults() ?? gradients
        let outcome = try base.withUnsafeParameters(of: model) { parameters throws(DescentError) in
            try gradients.withUnsafeTensors { (tensors) throws(DescentError) in
                try chain.flush(into: tensors, unsafeParameters: parameters)
            }
        }
        if outcome?.isApplied ?? false { base.update(&model, gradients: gradients) }
        return outcome
    }

    // MARK: Errors

    /// Updates where the host's call cannot throw: an error is kept, and thrown by the next call that can.
    ///
    /// While an error is kept, nothing more is updated.
    ///
    /// - Parameters:
    ///   - model: The model; nothing but an applied step reaches it.
    ///   - gradients: The gradients of one micro-batch.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    /// - Returns: The outcome; nil where an error was kept.
    @discardableResult
    public mutating func updateKeepingError(
        _ model: inout Base.Model, gradients: Base.Gradients, weight: Double = 1
    ) -> StepOutcome? {
        guard keptError == nil else { return nil }
        do throws(DescentError) {
            return try update(&model, gradients: gradients, weight: weight)
        } catch {
            keptError = error
            return nil
        }
    }

    /// Throws the error that a call has kept, if one has, and forgets it.
    ///
    /// - Throws: The ``keptError``.
    public mutating func throwKeptError() throws(DescentError) {
        guard let error = keptError else { return }
        keptError = nil
        throw error
    }
}

extension WrappedOptimizer where Base.Model: AnyObject {
    /// Transforms gradients and, if the step is applied, has the host's optimizer update the model, which is an object.
    ///
    /// See `update`, which takes a variable.
    @discardableResult
    public mutating func update(
        _ model: Base.Model, gradients: Base.Gradients, weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        var model = model
        return try update(
            &model, gradients: gradients, weight: weight, lossScale: lossScale, closingWindow: closingWindow)
    }

    /// Updates an object where the host's call cannot throw; see `updateKeepingError`.
    @discardableResult
    public mutating func updateKeepingError(
        _ model: Base.Model, gradients: Base.Gradients, weight: Double = 1
    ) -> StepOutcome? {
        var model = model
        return updateKeepingError(&model, gradients: gradients, weight: weight)
    }

    /// Closes an open window early and, if the step is applied, has the host's optimizer update an object; see `flush`.
    @discardableResult
    public mutating func flush(
        _ model: Base.Model, into gradients: Base.Gradients
    ) throws(DescentError) -> StepOutcome? {
        var model = model
        return try flush(&model, into: gradients)
    }
}

extension WrappedOptimizer where Base.Model == Void {
    /// Transforms gradients and, if the step is applied, has the host's optimizer update what it owns.
    ///
    /// See `update`.
    @discardableResult
    public mutating func update(
        gradients: Base.Gradients, weight: Double = 1, lossScale: Float? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        var model: Void = ()
        return try update(
            &model, gradients: gradients, weight: weight, lossScale: lossScale, closingWindow: closingWindow)
    }

    /// Updates what the optimizer owns where the host's call cannot throw; see `updateKeepingError`.
    @discardableResult
    public mutating func updateKeepingError(gradients: Base.Gradients, weight: Double = 1) -> StepOutcome? {
        var model: Void = ()
        return updateKeepingError(&model, gradients: gradients, weight: weight)
    }

    /// Closes an open window early and, if the step is applied, has the host's optimizer update what it owns; see `flush`.
    @discardableResult
    public mutating func flush(into gradients: Base.Gradients) throws(DescentError) -> StepOutcome? {
        var model: Void = ()
        return try flush(&model, into: gradients)
    }
}
