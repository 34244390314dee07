/// A chain of gradient transforms alone: gradients in, transformed gradients and an outcome out.
///
/// It goes in front of an another library's optimizer. `Chain` is this type over the default backend.
/// ```swift
/// var chain = try Chain(for: parameters) { ClipByGlobalNorm(1) }
/// if try chain.transform(&gradients).isApplied { host.step(gradients) }
/// ```
public struct GradientChain<Backend: TensorBackend>: Sendable, CustomStringConvertible {
    var engine: Engine<Backend>

    /// Builds a chain for gradients of the parameters' names and shapes.
    ///
    /// - Throws: ``DescentError`` for settings out of range and for stages in the wrong order.
    public init(
        for layout: ParameterLayout, configuration: PipelineConfiguration = PipelineConfiguration(),
        on backend: Backend = Backend(), @ChainBuilder _ stages: () -> [any Stage]
    ) throws(DescentError) {
        engine = try Engine(
            backend: backend, layout: layout, stages: stages(), driving: [],
            configuration: configuration)
    }

    /// Builds a chain that goes on where another one was, with the same bits as if it had never stopped.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch` that spells out how the chain differs from the one that was
    ///   saved, errors that name a parameter where the layout does, and what building the chain throws.
    public init(
        resuming state: PipelineState<Backend.Tensors>, _ policy: ResumptionPolicy = .sameStages,
        for layout: ParameterLayout, configuration: PipelineConfiguration = PipelineConfiguration(),
        on backend: Backend = Backend(), @ChainBuilder _ stages: () -> [any Stage]
    ) throws(DescentError) {
        engine = try Engine(
            backend: backend, layout: layout, stages: stages(), driving: [],
            configuration: configuration, resuming: state, policy)
    }

    /// What the chain remembers between steps.
    public var state: PipelineState<Backend.Tensors> {
        get throws(DescentError) { try engine.state }
    }

    /// What to multiply the loss by before taking gradients: constant within a window, 1 without an `Unscale`.
    public var lossScale: Float { engine.chain.lossScale }
    /// How many steps have been applied.
    public var appliedSteps: Int { engine.counters.appliedSteps }
    /// How many steps have been skipped.
    public var skippedSteps: Int { engine.counters.skippedSteps }
    /// The micro-batches of the open accumulation window; nil where nothing accumulates.
    public var window: AccumulationWindow? { engine.accumulation?.window }
    /// The parameters that the chain was built for.
    public var layout: ParameterLayout { engine.layout }
    /// How the chain runs, whatever its stages.
    public var configuration: PipelineConfiguration { engine.configuration }
    /// How many sweeps over the gradients an applied step takes, for a micro-batch that closes its window.
    public var sweepCount: Int { engine.plan.sweepCount }

    /// The plan, for people.
    public func explain() -> String { engine.explanation }

    /// The chain and the counts of steps, in one line: "ClipByGlobalNorm(1.0) → gradients out; 12 steps applied, 1 skipped".
    public var description: String { engine.summary }

    /// Has a closure told of the outcome of every step to come, on the caller's thread, before `transform` returns.
    ///
    /// Observers are told in the order in which they were added. A copy of the chain has the same observers.
    public mutating func observe(_ observer: @escaping @Sendable (StepEvent) -> Void) {
        engine.reporter.observers.append(observer)
    }

    /// Transforms gradients in place.
    ///
    /// - Parameters:
    ///   - gradients: The gradients of one micro-batch. If the outcome is applied, they are the transformed
    ///     gradients of the window; otherwise they are as they were, unless it is diverged: then they are not finite.
    ///   - parameters: The parameters, for stages that look at them.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked; nil trusts that it was ``lossScale``.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Applied if the optimizer is to follow, otherwise accumulated or skipped.
    /// - Throws: ``DescentError`` if names or shapes do not match, before anything has changed; also when a loss
    ///   scale is exhausted.
    public mutating func transform(
        _ gradients: inout Backend.Tensors, parameters: Backend.Tensors? = nil, weight: Double = 1,
        lossScale: Float? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        gradients.makeUnique()
        return try engine.step(
            .init(gradients: gradients, parameters: parameters, output: gradients), weight: weight,
            lossScale: lossScale, closesWindow: closingWindow)
    }

    /// Transforms gradients, which are only read, and writes the result elsewhere.
    ///
    /// - Parameters:
    ///   - gradients: The gradients of one micro-batch.
    ///   - result: Receives the transformed gradients of the window if the outcome is applied, and those of frozen parameters
    ///     as they are. Nothing is written to it otherwise, unless the outcome is diverged: then it has what is not finite.
    ///   - parameters: The parameters, for stages that look at them.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked; nil trusts that it was ``lossScale``.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Applied if the optimizer is to follow, otherwise accumulated or skipped.
    /// - Throws: ``DescentError``, as ``transform(_:parameters:weight:lossScale:closingWindow:)`` does.
    public mutating func transform(
        _ gradients: Backend.Tensors, into result: inout Backend.Tensors, parameters: Backend.Tensors? = nil,
        weight: Double = 1, lossScale: Float? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        try layout.requireMatch(of: result.layout, as: "results")
        result.makeUnique()
        return try engine.step(
            .init(gradients: gradients, parameters: parameters, output: result, isOutOfPlace: true), weight: weight,
            lossScale: lossScale, closesWindow: closingWindow)
    }

    /// Closes an open window early.
    ///
    /// - Parameters:
    ///   - gradients: Receives the transformed gradients if the outcome is applied.
    ///   - parameters: The parameters, for stages that look at them.
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: ``DescentError``, as ``transform(_:parameters:weight:lossScale:closingWindow:)`` does.
    public mutating func flush(
        into gradients: inout Backend.Tensors, parameters: Backend.Tensors? = nil
    ) throws(DescentError) -> StepOutcome? {
        guard engine.isWindowOpen else { return nil }
        try layout.requireMatch(of: gradients.layout, as: "gradients")
        gradients.makeUnique()
        return try engine.step(.init(parameters: parameters, output: gradients), closesWindow: true)
    }
}
