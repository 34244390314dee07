/// A chain of gradient transforms in front of an optimizer.
///
/// ```swift
/// var optimizer = try Pipeline(for: parameters) {
///     Accumulate(steps: 4)
///     Unscale(.dynamic())
///     ClipByGlobalNorm(1)
/// } driving: {
///     AdamW(learningRate: 0.001, weightDecay: 0.01)
/// }
/// let outcome = try optimizer.step(&parameters, gradients: gradients)
/// ```
///
/// A pipeline is a value: a copy goes its own way, and calls on one pipeline cannot overlap. The plan is made when
/// the pipeline is built, and mistakes in the order of stages are found then. `Pipeline` is this type over
/// the default backend.
public struct GradientPipeline<Backend: TensorBackend>: Sendable, CustomStringConvertible {
    var engine: Engine<Backend>

    /// Builds a pipeline for parameters.
    ///
    /// - Parameters:
    ///   - parameters: The parameters to train; only their names and shapes are kept.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizers: What ends the chain: an optimizer, one with stages behind it, or several that share the parameters.
    /// - Throws: ``DescentError`` for settings out of range and for stages in the wrong order.
    public init(
        for parameters: Backend.Tensors, configuration: PipelineConfiguration = PipelineConfiguration(),
        on backend: Backend = Backend(), @ChainBuilder _ stages: () -> [any Stage] = { [] },
        @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        engine = try Engine(
            backend: backend, layout: parameters.layout, stages: stages(), driving: Self.requireOptimizer(optimizers()),
            configuration: configuration)
        try engine.requireTrainable(parameters)
        try engine.copyParameters(parameters)
    }

    /// Builds a pipeline that goes on where another one was, with the same bits as if it had never stopped.
    ///
    /// Settings may have changed since, such as a learning rate. Observers are not part of the state.
    ///
    /// - Parameters:
    ///   - state: What the other pipeline remembered; see ``state``.
    ///   - policy: How strictly the chain has to be the one that was saved.
    ///   - parameters: The parameters as they were then.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizers: What ends the chain: an optimizer, one with stages behind it, or several that share the parameters.
    /// - Throws: ``DescentError`` with code `stateMismatch` that spells out how the chain differs from the one that was
    ///   saved, errors that name a parameter where the layout does, and what building the pipeline throws.
    public init(
        resuming state: PipelineState<Backend.Tensors>, _ policy: ResumptionPolicy = .sameStages,
        for parameters: Backend.Tensors, configuration: PipelineConfiguration = PipelineConfiguration(),
        on backend: Backend = Backend(), @ChainBuilder _ stages: () -> [any Stage] = { [] },
        @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        engine = try Engine(
            backend: backend, layout: parameters.layout, stages: stages(), driving: Self.requireOptimizer(optimizers()),
            configuration: configuration,
            resuming: state, policy)
        try engine.requireTrainable(parameters)
        try engine.copyParameters(parameters)
    }

    private static func requireOptimizer(_ branches: [OptimizerBranch]) throws(DescentError) -> [OptimizerBranch] {
        guard branches.isEmpty else { return branches }
        throw DescentError(
            .invalidSetting,
            "A pipeline needs an optimizer, and none is in driving:. Build a Chain for gradients alone.")
    }

    /// What the pipeline remembers between steps; see `init(resuming:_:for:configuration:on:_:driving:)`.
    ///
    /// - Throws: ``DescentError`` with code `incompleteMicroBatch` while gradients arrive one by one.
    public var state: PipelineState<Backend.Tensors> {
        get throws(DescentError) { try engine.state }
    }

    /// What to multiply the loss by before taking gradients: constant within a window, 1 without an `Unscale`.
    public var lossScale: Float { engine.chain.lossScale }
    /// How many steps have been applied.
    public var appliedSteps: Int { engine.counters.appliedSteps }
    /// How many steps have been skipped.
    public var skippedSteps: Int { engine.counters.skippedSteps }
    /// The stages, in the order in which gradients flow.
    public var stages: [any Stage] { engine.currentStages }
    /// The micro-batches of the open accumulation window; nil where nothing accumulates.
    public var window: AccumulationWindow? { engine.accumulation?.window }
    /// What ends the chain: the first of the optimizers.
    public var optimizer: any Optimizer { engine.chain.optimizers[0] }
    /// The optimizers, each with the parameters that it takes and what stands behind it.
    public var branches: [OptimizerBranch] { engine.currentBranches }
    /// The parameters that the pipeline was built for.
    public var layout: ParameterLayout { engine.layout }
    /// How many sweeps over the gradients an applied step takes, for a micro-batch that closes its window.
    public var sweepCount: Int { engine.plan.sweepCount }

    /// The parameters after the last applied step, in the element type that the pipeline was asked to keep them in.
    ///
    /// It shares its memory with the pipeline until the next step, which leaves this value as it is.
    public var parameterCopy: Backend.Tensors? { engine.sweeps.parameterCopy }

    /// Has a closure told of the outcome of every step to come, on the caller's thread, before `step` returns.
    ///
    /// Observers are told in the order in which they were added. A copy of the pipeline has the same observers.
    public mutating func observe(_ observer: @escaping @Sendable (StepEvent) -> Void) {
        engine.reporter.observers.append(observer)
    }

    /// Has the next step that closes a window count its gradients by magnitude, in the first sweep over them.
    ///
    /// The gradients are counted as they come in, before any stage but an accumulation: still multiplied by the loss
    /// scale, and whether the step is then applied or skipped.
    ///
    /// While gradients arrive one by one, the request is for the micro-batches after this one.
    public mutating func requestHistograms() { engine.reporter.requestHistograms() }

    /// The histogram of every parameter's gradient, in the order of the layout, when they were last requested.
    public var histograms: [MagnitudeHistogram] { engine.reporter.histograms }

    /// How the pipeline runs, whatever its stages.
    public var configuration: PipelineConfiguration { engine.configuration }

    /// The average of the parameters that an ``ExponentialMovingAverage`` behind the optimizer keeps, or the optimizer
    /// itself; nil if one of the optimizers keeps none.
    ///
    /// Where several optimizers share the parameters, it is put together from the averages of each. Nil also where processes
    /// share rows, each of which has a part of it: see ``gatherAveragedParameters(_:)``.
    public var averagedParameters: Backend.Tensors? { engine.averagedParameters }

    /// Puts the average of the parameters together where processes share rows, of which each has a part.
    ///
    /// All processes have to ask for it, between the same steps. With a single one it is ``averagedParameters``.
    ///
    /// - Parameter parameters: The parameters, of which those that are frozen are their own average.
    /// - Returns: The average, in float32; nil if one of the optimizers keeps none.
    /// - Throws: ``DescentError`` if processes have lost step with each other.
    public mutating func gatherAveragedParameters(
        _ parameters: Backend.Tensors
    ) throws(DescentError) -> Backend.Tensors? {
        try layout.requireMatch(of: parameters.layout, as: "parameters")
        return try engine.gatherAveragedParameters(parameters)
    }

    /// The names of the buffers that the pipeline keeps: "AdamW.first moment".
    public var slotNames: [String] { engine.slotTable.names }

    /// A copy of the buffer of a name, which shares its memory until the next step; nil if there is none.
    public func slot(named name: String) -> Backend.Tensors? {
        engine.slotTable.names.firstIndex(of: name).map { engine.sweeps.slots[$0] }
    }

    /// The plan, for people: sweeps, what each measures, which stages are fused in it, and what it reads and writes.
    public func explain() -> String { engine.explanation }

    /// The chain and the counts of steps, in one line: "Centralize → ClipByGlobalNorm(1.0) → AdamW; 12 steps applied, 1 skipped".
    public var description: String { engine.summary }

    /// Takes in one micro-batch of gradients and, if that closes the window, updates the parameters.
    ///
    /// - Parameters:
    ///   - parameters: The parameters to update. Nothing but an applied step changes them.
    ///   - gradients: The gradients of the loss times ``lossScale``.
    ///   - weight: The micro-batch's weight, such as its number of tokens, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked; nil trusts that it was ``lossScale``.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: ``DescentError`` if names or shapes do not match, before anything has changed; also when a loss
    ///   scale is exhausted.
    public mutating func step(
        _ parameters: inout Backend.Tensors, gradients: Backend.Tensors, weight: Double = 1,
        lossScale: Float? = nil, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        parameters.makeUnique()
        return try engine.gatheringRows(of: &parameters) { (engine, parameters) throws(DescentError) in
            try engine.step(
                .init(gradients: gradients, parameters: parameters), weight: weight, lossScale: lossScale,
                closesWindow: closingWindow)
        }
    }

    /// Closes an open window early and updates the parameters with what it holds.
    ///
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: ``DescentError``, as ``step(_:gradients:weight:lossScale:closingWindow:)`` does, and with code
    ///   `incompleteMicroBatch` while gradients arrive one by one.
    public mutating func flush(_ parameters: inout Backend.Tensors) throws(DescentError) -> StepOutcome? {
        try engine.requireNothingReceived()
        guard engine.isWindowOpen else { return nil }
        parameters.makeUnique()
        return try engine.gatheringRows(of: &parameters) { (engine, parameters) throws(DescentError) in
            try engine.step(.init(parameters: parameters), closesWindow: true)
        }
    }

    /// Takes in the gradient of one parameter as soon as a backward pass has made it.
    ///
    /// It is added to the window and measured at once, while it is in cache; ``step(_:closingWindow:)`` then needs only
    /// the last sweep. (Where stages stand before an accumulation, or look at the parameters, gradients wait for it.)
    /// The bits are those of handing over all gradients together, in whatever order they arrive.
    ///
    /// - Parameters:
    ///   - gradients: Tensors of which the one parameter's is read.
    ///   - parameter: The position of the parameter in the layout.
    ///   - weight: The micro-batch's weight, the same for all its gradients.
    /// - Throws: ``DescentError`` if the gradient does not match or has been received before, or if there is no such
    ///   parameter.
    public mutating func receive(
        _ gradients: Backend.Tensors, of parameter: Int, weight: Double = 1
    ) throws(DescentError) {
        try engine.receive(gradients, of: parameter, weight: weight)
    }

    /// Abandons a micro-batch whose gradients arrive one by one, as if none of them had: after a backward pass that threw.
    ///
    /// The window is what it was before the first of them. Does nothing where none has arrived.
    public mutating func discardReceived() { engine.discardReceived() }

    /// Closes a micro-batch whose gradients have been received one by one; see ``receive(_:of:weight:)``.
    ///
    /// - Parameters:
    ///   - parameters: The parameters to update. Nothing but an applied step changes them.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: ``DescentError`` that names the first parameter whose gradient has not been received, unless the
    ///   configuration's ``PipelineConfiguration/missing`` says what becomes of it; a parameter without elements need not be.
    public mutating func step(
        _ parameters: inout Backend.Tensors, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        parameters.makeUnique()
        return try engine.gatheringRows(of: &parameters) { (engine, parameters) throws(DescentError) in
            try engine.stepReceived(.init(parameters: parameters), closesWindow: closingWindow)
        }
    }
}
