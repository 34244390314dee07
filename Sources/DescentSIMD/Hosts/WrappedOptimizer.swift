public import DescentCore

/// Gradients of a host framework, as one list of named tensors in memory.
public protocol HostGradients {
    /// Hands the memory of all gradients to a body, to read and to change.
    mutating func withUnsafeTensors<Result>(
        _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result
}

extension TensorSet: HostGradients {}

/// An optimizer of a host framework that is handed a model and its gradients.
public protocol HostOptimizer {
    /// What it trains.
    associatedtype Model
    /// What it is handed.
    associatedtype Gradients: HostGradients

    /// Updates the model along gradients.
    mutating func update(_ model: inout Model, gradients: Gradients)
}

/// A host's optimizer with a chain in front of it; it goes wherever the optimizer went.
///
/// ```swift
/// var optimizer = try WrappedOptimizer(hostOptimizer, for: layout) { ClipByGlobalNorm(1) }
/// try optimizer.update(&model, gradients: gradients)
/// ```
public struct WrappedOptimizer<Base: HostOptimizer> {
    /// The host's optimizer.
    public var base: Base
    /// The chain in front of it.
    public private(set) var chain: GradientChain<SIMDBackend>

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
        self.base = base
        chain = try GradientChain(for: layout, configuration: configuration, on: backend, stages)
    }

    /// What to multiply the loss by before taking gradients.
    public var lossScale: Float { chain.lossScale }

    /// The chain's plan, for people; "gradients out" is where the host's optimizer takes over.
    public func explain() -> String { chain.explain() }

    /// Transforms gradients and, if the step is applied, has the host's optimizer update the model with them.
    ///
    /// - Parameters:
    ///   - model: The model; nothing but an applied step reaches it.
    ///   - gradients: The gradients of one micro-batch. The caller's value is not changed, unless it is a reference.
    ///   - weight: The micro-batch's weight, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the step was accumulated, applied or skipped.
    /// - Throws: `DescentError` if names or sizes do not match, before anything has changed.
    @discardableResult
    public mutating func update(
        _ model: inout Base.Model, gradients: Base.Gradients, weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        var gradients = gradients
        let outcome = try gradients.withUnsafeTensors { (tensors) throws(DescentError) in
            try chain.transform(
                unsafeGradients: tensors, weight: weight, lossScale: lossScale, closingWindow: closingWindow)
        }
        if outcome.isApplied { base.update(&model, gradients: gradients) }
        return outcome
    }
}
