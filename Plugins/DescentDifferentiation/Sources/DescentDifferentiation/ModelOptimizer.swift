public import DescentCore
public import DescentSIMD
public import _Differentiation

/// A pipeline for a model that Swift differentiates: it goes wherever the model's optimizer went.
///
/// ```swift
/// var optimizer = try ModelOptimizer(
///     for: model,
///     parameters: [
///         ModelParameter(\.hidden.weight, \.hidden.weight, shape: [16, 2]),
///         ModelParameter(\.hidden.bias, \.hidden.bias),
///     ]
/// ) {
///     ClipByGlobalNorm(1)
/// } driving: {
///     AdamW(learningRate: 0.01)
/// }
/// let gradient = gradient(at: model) { model in loss(of: model, on: batch) }
/// try optimizer.update(&model, along: gradient)
/// ```
/// It is a value: a copy goes its own way.
///
/// **What is copied.** Nothing, for sets of tensors and for the 64 largest arrays: the model gives them away for the
/// length of an update, the pipeline changes them in their place, and the model gets them back. (Until then they are
/// empty in the model, and a `didSet` or a property's setter sees that.) Their gradients are read where they lie in the
/// tangent vector. Smaller arrays beyond these, single floats, and the gradients of both are copied. What another value
/// holds too, such as a copy of the model, is copied once by Swift, before the first change. Zeros are made for
/// gradients that the tangent vector leaves out.
public struct ModelOptimizer<Model: Differentiable>: Sendable {
    /// The chain and the optimizer; here it can be observed, explained, and asked for histograms and slots.
    public var pipeline: GradientPipeline<SIMDBackend>
    private let bindings: [ParameterBinding<Model>]
    /// Whether the members of a gradient are still to be compared with the list.
    private var hasToCheckMembers: Bool

    /// Builds a pipeline for a model.
    ///
    /// - Parameters:
    ///   - model: The model to train; only the sizes of its parameters are kept.
    ///   - parameters: What is trained of it, in the pipeline's order.
    ///   - requiresAll: Whether it is an error if the tangent vector has members made of numbers that the list leaves
    ///     out. That is found out here and, for what an array holds, by the first update.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizers: What ends the chain.
    /// - Throws: `DescentError` for a parameter without a name, with a name that another one has, with a
    ///   shape that is not that of the model, or with memory that another one has; for members left out; and for
    ///   stages that do not fit together.
    /// - Complexity: O(n) in the number of elements.
    public init(
        for model: Model, parameters: [ModelParameter<Model>], requiresAll: Bool = true,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: SIMDBackend = SIMDBackend(),
        @ChainBuilder _ stages: () -> [any Stage] = { [] }, @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        var bindings: [ParameterBinding<Model>] = []
        for (position, parameter) in parameters.enumerated() {
            bindings.append(try ParameterBinding(parameter, at: position, in: model))
        }
        self.bindings = bindings
        hasToCheckMembers = requiresAll
        pipeline = try GradientPipeline(
            for: TensorSet(bindings.flatMap(\.layout)), configuration: configuration, on: backend,
            stages, driving: optimizers)
        try requireSeparateMemory(in: model)
        if requiresAll { try requireAllListed(of: Model.TangentVector.zero) }
    }

    /// What to multiply the loss by before taking its gradient: constant within a window, 1 without an `Unscale`.
    public var lossScale: Float { pipeline.lossScale }
    /// How many updates have been applied.
    public var appliedSteps: Int { pipeline.appliedSteps }
    /// How many updates have been skipped.
    public var skippedSteps: Int { pipeline.skippedSteps }

    /// Takes in the gradient of one micro-batch and, if that closes the window, updates the model.
    ///
    /// - Parameters:
    ///   - model: The model. Nothing but an applied update changes its parameters.
    ///   - gradient: The gradient of the loss times ``lossScale``.
    ///   - weight: The micro-batch's weight, such as its number of tokens, for weighted accumulation.
    ///   - lossScale: What the loss was multiplied by, to have it checked; nil trusts that it was ``lossScale``.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early.
    /// - Returns: Whether the update was accumulated, applied or skipped.
    /// - Throws: `DescentError` that names the parameter whose size in the model or in the gradient does
    ///   not match, before anything has changed; also when a loss scale is exhausted.
    @discardableResult
    public mutating func update(
        _ model: inout Model, along gradient: Model.TangentVector, weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        var gradients = GradientArrays()
        for binding in bindings {
            try binding.requireMatch(of: model)
            try binding.gather(gradient, into: &gradients)
        }
        if hasToCheckMembers {
            try requireAllListed(of: gradient)
            hasToCheckMembers = false
        }
        return try TakenParameters.lend(bindings, of: &model) { parameters throws(DescentError) in
            try gradients.lend { gradients throws(DescentError) in
                try pipeline.step(
                    unsafeParameters: parameters, unsafeGradients: gradients, weight: weight, lossScale: lossScale,
                    closingWindow: closingWindow)
            }
        }
    }

    /// Closes an open window early and updates the model with what it holds.
    ///
    /// - Returns: The outcome, or nil if no window is open.
    /// - Throws: `DescentError`, as ``update(_:along:weight:lossScale:closingWindow:)`` does.
    @discardableResult
    public mutating func flush(_ model: inout Model) throws(DescentError) -> StepOutcome? {
        for binding in bindings { try binding.requireMatch(of: model) }
        let layout = pipeline.layout
        return try TakenParameters.lend(bindings, of: &model) { parameters throws(DescentError) in
            try TensorSet.withUnsafeTensors(parameters, layout: layout) { parameters throws(DescentError) in
                try pipeline.flush(&parameters)
            }
        }
    }
}

extension ModelOptimizer {
    /// Refuses parameters that are one and the same member under two names.
    ///
    /// Two paths can lead to one array, by way of a computed property: once the first has been taken out of the model,
    /// the other finds nothing.
    private func requireSeparateMemory(in model: Model) throws(DescentError) {
        var model = model
        var scalars: Set<AnyKeyPath> = []
        for binding in bindings {
            var isSeparate = true
            if case .scalar(let path, _) = binding.place {
                isSeparate = scalars.insert(path).inserted
            } else {
                isSeparate = (try? binding.requireMatch(of: model)) != nil
                _ = TakenParameters([binding], from: &model)
            }
            guard isSeparate else {
                let name = binding.layout.first?.name ?? ""
                throw DescentError(
                    .duplicateParameter, parameter: name,
                    "\"\(name)\" is the same member of the model as another parameter of the list; list it once.")
            }
        }
    }

    /// Refuses a tangent vector with members that the list leaves out.
    private func requireAllListed(of tangent: Model.TangentVector) throws(DescentError) {
        let members = TangentMembers(of: tangent)
        if let other = members.others.first {
            throw DescentError(
                .elementTypeMismatch, parameter: other.path,
                "\"\(other.path)\" of the tangent vector is a \(other.type), which is not trained here: arithmetic is "
                    + "float32. Make it a Float, mark it @noDerivative, or pass requiresAll: false.")
        }
        guard members.trainable.count > bindings.count else { return }
        let names = Set(bindings.compactMap(\.arrayName))
        let missing = members.trainable.filter { !names.contains($0) }
        throw DescentError(
            .missingParameter, parameter: missing.first,
            "The tangent vector has \(members.trainable.count) members made of floats, but \(bindings.count) are "
                + "listed. Not found by name: \(missing.joined(separator: ", ")). List them, or pass requiresAll: false."
        )
    }
}
