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
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizer: What ends the chain.
    /// - Throws: ``DescentError`` for settings out of range and for stages in an order that cannot be meant.
    public init(
        for parameters: Backend.Tensors, nonFinite: NonFinitePolicy = .skip, on backend: Backend = Backend(),
        @ChainBuilder _ stages: () -> [any GradientTransform], driving optimizer: () -> any Optimizer
    ) throws(DescentError) {
        engine = try Engine(
            backend: backend, layout: parameters.layout, stages: stages(), optimizer: optimizer(), policy: nonFinite)
    }

    /// What to multiply the loss by before taking gradients: constant within a window, 1 without an `Unscale`.
    public var lossScale: Float { engine.lossScale }
    /// How many steps have been applied.
    public var appliedSteps: Int { engine.appliedSteps }
    /// How many steps have been skipped.
    public var skippedSteps: Int { engine.skippedSteps }
    /// The parameters that the pipeline was built for.
    public var layout: ParameterLayout { engine.layout }
    /// How many sweeps over the gradients an applied step takes, for a micro-batch that closes its window.
    public var sweepCount: Int { engine.plan.sweepCount }

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
        try engine.validate(gradients.layout, as: "gradients")
        try engine.validate(weight: weight, lossScale: lossScale)
        return try step(&parameters, gradients, weight, closingWindow)
    }

    /// Closes an open window early and updates the parameters with what it holds.
    ///
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: ``DescentError``, as ``step(_:gradients:weight:lossScale:closingWindow:)`` does.
    public mutating func flush(_ parameters: inout Backend.Tensors) throws(DescentError) -> StepOutcome? {
        guard engine.isWindowOpen else { return nil }
        return try step(&parameters, nil, 1, true)
    }

    private mutating func step(
        _ parameters: inout Backend.Tensors, _ gradients: Backend.Tensors?, _ weight: Double, _ closing: Bool
    ) throws(DescentError) -> StepOutcome {
        try engine.validate(parameters.layout, as: "parameters")
        parameters.makeUnique()
        return try engine.step(
            .init(gradients: gradients, parameters: parameters, output: nil), weight: weight, closesWindow: closing)
    }
}
