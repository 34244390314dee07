public import DescentCore
public import DescentSIMD
public import MLX
public import MLXNN
public import MLXOptimizers

/// An optimizer of mlx-swift with a chain of gradient transforms in it; it goes wherever an optimizer of MLX's goes.
///
/// ```swift
/// let optimizer = try DescentOptimizer(for: model) { Accumulate(steps: 4); ClipByGlobalNorm(1) } driving: { AdamW() }
/// let optimizer = try DescentOptimizer(MLXOptimizers.AdamW(learningRate: 1e-3), for: model) { ClipByGlobalNorm(1) }
/// ```
/// The first ends in one of Descent's optimizers, the second in one of MLX's.
///
/// Gradients are read where they lie, whatever their strides. An update gives the model new arrays, as MLX's own optimizers
/// do: an array that shares its memory with a parameter is as it was. Values are read, so that an update evaluates the
/// gradients and cannot be part of a function that `compile` makes; compile the loss and its gradient.
///
/// MLX's `update(model:gradients:)` cannot throw. An error is kept by it, and thrown by the next call that can; until then
/// nothing is updated.
public final class DescentOptimizer: MLXOptimizers.Optimizer {
    private let route: any UpdateRoute
    private var trained: TrainedParameters
    private let outputsLast: ParameterSelection?

    /// Told of the outcome of every micro-batch, before the call that took it in returns.
    public var onStep: ((StepOutcome) -> Void)?
    /// Told of an error that `update(model:gradients:)` keeps, where nobody would learn of it otherwise.
    public var onError: ((DescentError) -> Void)?
    /// The error that the next call that can throws; nothing is updated while there is one.
    public private(set) var keptError: DescentError?

    init(_ route: any UpdateRoute, _ trained: TrainedParameters, outputsLast: ParameterSelection?) {
        (self.route, self.trained, self.outputsLast) = (route, trained, outputsLast)
    }

    // MARK: What it is like

    /// The parameters that it was built for: those that were not frozen.
    public var layout: ParameterLayout { route.layout }
    /// What to multiply the loss by before taking gradients: constant within a window, 1 without an `Unscale`.
    public var lossScale: Float { route.lossScale }
    /// How many steps have been applied.
    public var appliedSteps: Int { route.appliedSteps }
    /// How many steps have been skipped.
    public var skippedSteps: Int { route.skippedSteps }
    /// The micro-batches of the open accumulation window; nil where nothing accumulates.
    public var window: AccumulationWindow? { route.window }

    /// The plan, for people: stages, sweeps, and what the rows of each matrix are understood to be.
    public func explain() -> String { route.explain() }

    /// The arrays that an optimizer of MLX's remembers; none where Descent's optimizers do, whose memory is their own.
    public func innerState() -> [MLXArray] { route.innerState() }

    // MARK: Steps

    /// Takes in one micro-batch of gradients and, if that closes the window, updates the model.
    ///
    /// An error is kept: see ``keptError`` and ``onError``.
    ///
    /// - Parameters:
    ///   - model: The model. Nothing but an applied step changes its parameters.
    ///   - gradients: The gradients of the loss times ``lossScale``.
    public func update(model: Module, gradients: ModuleParameters) {
        guard keptError == nil else { return }
        do throws(DescentError) { try step(model: model, gradients: gradients) } catch {
            keptError = error
            onError?(error)
        }
    }

    /// Takes in one micro-batch of gradients and, if that closes the window, updates the model.
    ///
    /// - Parameters:
    ///   - model: The model. Nothing but an applied step changes its parameters.
    ///   - gradients: The gradients of the loss times ``lossScale``.
    ///   - weight: The micro-batch's weight, such as its number of tokens, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked; nil trusts that it was ``lossScale``.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: `DescentError`: the ``keptError``; one that names the parameter whose gradient is absent, unknown or of
    ///   another shape, before anything has changed; one with code `evaluationFailed` if MLX cannot compute the gradients;
    ///   and what a step of a pipeline or a chain throws.
    /// - Complexity: O(n) in the number of elements.
    @discardableResult
    public func step(
        model: Module, gradients: ModuleParameters, weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        try throwKeptError()
        let found = try trained.known(gradients)
        let lent = try trained.lend(model, evaluating: found)
        let batch = MicroBatch(
            model: lent, gradients: try LentArrays(found), weight: weight, lossScale: lossScale,
            closesWindow: closingWindow)
        let outcome: StepOutcome
        do throws(DescentError) { outcome = try route.step(batch) } catch  where error.code == .missingParameter {
            throw DescentError(
                error.code, parameter: error.parameter, stage: error.stage,
                error.message + " If it has been frozen since, call relayout(for: model).")
        }
        onStep?(outcome)
        return outcome
    }

    /// Closes an open window early and updates the model with what it holds.
    ///
    /// - Parameter model: The model.
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: `DescentError`, as ``step(model:gradients:weight:lossScale:closingWindow:)`` does.
    @discardableResult
    public func flush(model: Module) throws(DescentError) -> StepOutcome? {
        try throwKeptError()
        let outcome = try route.flush(trained.lend(model))
        if let outcome { onStep?(outcome) }
        return outcome
    }

    /// Throws the error that a call has kept, if one has, and forgets it.
    ///
    /// - Throws: The ``keptError``.
    public func throwKeptError() throws(DescentError) {
        guard let error = keptError else { return }
        keptError = nil
        throw error
    }

    // MARK: Changing what is trained

    /// Goes on with other parameters: some were frozen, thawed, added or removed.
    ///
    /// Parameters of the same name and shape keep what is remembered of them; others begin as if it were their first step. (An
    /// optimizer of MLX's forgets what it remembered of parameters that it gets no gradients for.) An error that was kept
    /// because the set of gradients had changed is forgotten.
    ///
    /// - Parameter model: The model, frozen and thawed as it is to be trained from now on.
    /// - Throws: `DescentError` with code `openWindow` while a window is open: call ``flush(model:)`` before freezing; any other
    ///   ``keptError``; and what building an optimizer throws. The optimizer is as it was then.
    public func relayout(for model: Module) throws(DescentError) {
        if keptError?.code == .missingParameter || keptError?.code == .unexpectedParameter { keptError = nil }
        try throwKeptError()
        let trained = try TrainedParameters(of: model, outputsLast: outputsLast)
        try route.relayout(for: trained.layout, parameters: trained.lend(model).parameters)
        self.trained = trained
    }

    /// Lends the pipeline to a body, to change settings, to observe it, or to read its averages; see `GradientPipeline`.
    ///
    /// Its steps and its `relayout(for:)` are not to be called there.
    ///
    /// - Returns: What the body returns; nil where an optimizer of MLX's follows the chain, without calling the body.
    /// - Throws: What the body throws.
    @discardableResult
    public func withPipeline<Result, Failure: Error>(
        _ body: (inout GradientPipeline<SIMDBackend>) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let route = route as? PipelineRoute else { return nil }
        return try body(&route.pipeline)
    }

    /// Lends the chain in front of an optimizer of MLX's to a body; see `GradientChain`.
    ///
    /// - Returns: What the body returns; nil where one of Descent's optimizers follows, without calling the body.
    /// - Throws: What the body throws.
    @discardableResult
    public func withChain<Result, Failure: Error>(
        _ body: (inout GradientChain<SIMDBackend>) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let route = route as? ChainRoute else { return nil }
        return try body(&route.chain)
    }

    // MARK: Saving

    /// Saves everything that a run needs to go on with the same bits, in one safetensors file; but not the model.
    ///
    /// Where an optimizer of MLX's follows the chain, what that one remembers is not saved: mlx-swift has no call to restore
    /// it. Save the model with MLX's `save(arrays:url:)`, at the same moment.
    ///
    /// - Parameters:
    ///   - path: The file, which is replaced all at once.
    ///   - metadata: Text of the caller's by key.
    /// - Throws: `DescentError`: the ``keptError``, or one with code `fileAccess`, the path and the operating system's reason.
    public func checkpoint(to path: String, metadata: [String: String] = [:]) throws(DescentError) {
        try throwKeptError()
        try route.checkpoint(to: path, metadata: metadata)
    }
}
