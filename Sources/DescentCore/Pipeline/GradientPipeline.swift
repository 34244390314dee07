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
public struct GradientPipeline<Backend: TensorBackend>: Sendable {
    private var engine: Engine<Backend>

    /// Builds a pipeline for parameters.
    ///
    /// - Parameters:
    ///   - parameters: The parameters to train; only their names and shapes are kept.
    ///   - nonFinite: What happens when a gradient holds NaN or an infinity.
    ///   - parameterCopy: How to store a second copy of the parameters, which each applied step writes in the sweep
    ///     that updates them: what a model's forward pass reads. Nil keeps none.
    ///   - reporting: What reports hold beyond what falls out of sums that are made anyway.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizer: What ends the chain.
    /// - Throws: ``DescentError`` for settings out of range and for stages in an order that cannot be meant.
    public init(
        for parameters: Backend.Tensors, nonFinite: NonFinitePolicy = .skip, parameterCopy: ElementType? = nil,
        reporting: ReportOptions = [], on backend: Backend = Backend(),
        @ChainBuilder _ stages: () -> [any GradientTransform] = { [] }, driving optimizer: () -> any Optimizer
    ) throws(DescentError) {
        let options = PipelineOptions(nonFinite: nonFinite, parameterCopy: parameterCopy, reporting: reporting)
        engine = try Engine(
            backend: backend, layout: parameters.layout, stages: stages(), optimizer: optimizer(), options: options)
        try engine.requireFloat32(parameters)
        engine.copyParameters(parameters)
    }

    /// Builds a pipeline that goes on where another one was, with the same bits as if it had never stopped.
    ///
    /// Settings may have changed since, such as a learning rate. Observers are not part of the state.
    ///
    /// - Parameters:
    ///   - state: What the other pipeline remembered; see ``state``.
    ///   - policy: How strictly the chain has to be the one that was saved.
    ///   - parameters: The parameters as they were then.
    ///   - nonFinite: What happens when a gradient holds NaN or an infinity.
    ///   - parameterCopy: How to store a second copy of the parameters.
    ///   - reporting: What reports hold beyond what falls out of sums that are made anyway.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizer: What ends the chain.
    /// - Throws: ``DescentError`` with code `stateMismatch` that spells out how the chain differs from the one that was
    ///   saved, errors that name a parameter where the layout does, and what building the pipeline throws.
    public init(
        resuming state: PipelineState<Backend.Tensors>, _ policy: ResumptionPolicy = .sameStages,
        for parameters: Backend.Tensors, nonFinite: NonFinitePolicy = .skip, parameterCopy: ElementType? = nil,
        reporting: ReportOptions = [], on backend: Backend = Backend(),
        @ChainBuilder _ stages: () -> [any GradientTransform] = { [] }, driving optimizer: () -> any Optimizer
    ) throws(DescentError) {
        let options = PipelineOptions(nonFinite: nonFinite, parameterCopy: parameterCopy, reporting: reporting)
        engine = try Engine(
            backend: backend, layout: parameters.layout, stages: stages(), optimizer: optimizer(), options: options,
            resuming: state, policy)
        try engine.requireFloat32(parameters)
        engine.copyParameters(parameters)
    }

    /// What the pipeline remembers between steps; see ``init(resuming:_:for:nonFinite:parameterCopy:reporting:on:_:driving:)``.
    ///
    /// - Throws: ``DescentError`` with code `incompleteMicroBatch` while gradients arrive one by one.
    public var state: PipelineState<Backend.Tensors> {
        get throws(DescentError) { try engine.state }
    }

    /// What to multiply the loss by before taking gradients: constant within a window, 1 without an `Unscale`.
    public var lossScale: Float { engine.lossScale }
    /// How many steps have been applied.
    public var appliedSteps: Int { engine.appliedSteps }
    /// How many steps have been skipped.
    public var skippedSteps: Int { engine.skippedSteps }
    /// The stages, in the order in which gradients flow.
    public var stages: [any GradientTransform] { engine.currentStages }
    /// What ends the chain.
    public var optimizer: any Optimizer { engine.optimizers[0] }
    /// The parameters that the pipeline was built for.
    public var layout: ParameterLayout { engine.layout }
    /// How many sweeps over the gradients an applied step takes, for a micro-batch that closes its window.
    public var sweepCount: Int { engine.plan.sweepCount }

    /// The parameters after the last applied step, in the element type that the pipeline was asked to keep them in.
    ///
    /// It shares its memory with the pipeline until the next step, which leaves this value as it is.
    public var parameterCopy: Backend.Tensors? { engine.parameterCopy }

    /// Has a closure told of the outcome of every step to come, on the caller's thread, before `step` returns.
    ///
    /// Observers are told in the order in which they were added. A copy of the pipeline has the same observers.
    public mutating func observe(_ observer: @escaping @Sendable (StepEvent) -> Void) {
        engine.observers.append(observer)
    }

    /// Has the next step that closes a window count its gradients by magnitude, in the first sweep over them.
    ///
    /// The gradients are counted as they come in, before any stage but an accumulation: still multiplied by the loss
    /// scale, and whether the step is then applied or skipped.
    ///
    /// While gradients arrive one by one, the request is for the micro-batches after this one.
    public mutating func requestHistograms() { engine.wantsHistograms = true }

    /// The histogram of every parameter's gradient, in the order of the layout, when they were last requested.
    public var histograms: [MagnitudeHistogram] { engine.histograms }

    /// The names of the parameter-shaped buffers that the pipeline keeps: "AdamW.first moment".
    public var slotNames: [String] { engine.slotNames }

    /// A copy of the buffer of a name, which shares its memory until the next step; nil if there is none.
    public func slot(named name: String) -> Backend.Tensors? {
        engine.slotNames.firstIndex(of: name).map { engine.slots[$0] }
    }

    /// The plan, for people: sweeps, what each measures, which stages are fused in it, and what it reads and writes.
    public func explain() -> String { Explanation(engine).text }

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
        do throws(DescentError) {
            try engine.validate(gradients.layout, as: "gradients")
            try engine.validate(weight: weight, lossScale: lossScale)
            try engine.validate(parameters.layout, as: "parameters")
            try engine.requireFloat32(parameters)
        } catch {
            engine.abandon(error, closesWindow: closingWindow)
            throw error
        }
        return try step(&parameters, gradients, weight, closingWindow)
    }

    /// Closes an open window early and updates the parameters with what it holds.
    ///
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: ``DescentError``, as ``step(_:gradients:weight:lossScale:closingWindow:)`` does, and with code
    ///   `incompleteMicroBatch` while gradients arrive one by one.
    public mutating func flush(_ parameters: inout Backend.Tensors) throws(DescentError) -> StepOutcome? {
        try engine.requireNoReception()
        guard engine.isWindowOpen else { return nil }
        return try step(&parameters, nil, 1, true)
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
        try engine.validate(gradients.layout, as: "gradients")
        guard layout.indices.contains(parameter) else {
            throw DescentError(
                .unexpectedParameter,
                "There is no parameter at position \(parameter); the layout has \(layout.count), counted from 0.")
        }
        try engine.validate(weight: weight)
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
    /// - Throws: ``DescentError`` that names the first parameter whose gradient has not been received; a parameter without
    ///   elements need not be.
    public mutating func step(
        _ parameters: inout Backend.Tensors, closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        try prepareParameters(&parameters)
        return try engine.stepReceived(
            .init(gradients: nil, parameters: parameters, output: nil), closesWindow: closingWindow)
    }

    private mutating func step(
        _ parameters: inout Backend.Tensors, _ gradients: Backend.Tensors?, _ weight: Double, _ closing: Bool
    ) throws(DescentError) -> StepOutcome {
        try prepareParameters(&parameters)
        return try engine.step(
            .init(gradients: gradients, parameters: parameters, output: nil), weight: weight, closesWindow: closing)
    }

    private func prepareParameters(_ parameters: inout Backend.Tensors) throws(DescentError) {
        try engine.validate(parameters.layout, as: "parameters")
        try engine.requireFloat32(parameters)
        parameters.makeUnique()
    }
}
