public import DescentCheckpoints
public import DescentCore
public import DescentSIMD
public import MLXNN
public import MLXOptimizers

extension DescentOptimizer {
    /// Builds a chain in front of one of Descent's optimizers, or of several that share the parameters.
    ///
    /// - Parameters:
    ///   - model: The model to train; only the names and shapes of what is not frozen are kept.
    ///   - outputsLast: The matrices whose outputs are the last axis; nil for none. Those of adapters, by default; all other
    ///     layers of MLXNN have outputs first. `explain()` says what rows are understood to be.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizers: What ends the chain.
    /// - Throws: `DescentError` with code `invalidSetting` where all parameters are frozen, `elementTypeMismatch` for parameters
    ///   that cannot be trained, and what building a pipeline throws.
    public convenience init(
        for model: Module, outputsLast: ParameterSelection? = .lowRankAdapters,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: SIMDBackend = SIMDBackend(),
        @ChainBuilder _ stages: () -> [any Stage] = { [] }, @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        try self.init(for: model, outputsLast) { parameters throws(DescentError) in
            try GradientPipeline(
                for: parameters, configuration: configuration, on: backend, stages, driving: optimizers)
        }
    }

    /// Builds an optimizer that goes on from a checkpoint, with a model that the caller has restored.
    ///
    /// - Parameters:
    ///   - source: The path of a file that ``checkpoint(to:metadata:)`` wrote, or a `Checkpoint`.
    ///   - policy: How strictly the chain has to be the one that was saved.
    ///   - model: The model as it was then.
    ///   - outputsLast: The matrices whose outputs are the last axis; nil for none.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizers: What ends the chain.
    /// - Throws: `DescentError` with code `fileAccess`, `invalidFile`, `unsupportedVersion` or `stateMismatch`, errors that name
    ///   a parameter where the model differs, and what building an optimizer throws.
    public convenience init(
        resuming source: some CheckpointSource, _ policy: ResumptionPolicy = .sameStages, for model: Module,
        outputsLast: ParameterSelection? = .lowRankAdapters,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: SIMDBackend = SIMDBackend(),
        @ChainBuilder _ stages: () -> [any Stage] = { [] }, @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        try self.init(for: model, outputsLast) { parameters throws(DescentError) in
            try GradientPipeline(
                resuming: source, policy, for: parameters, configuration: configuration, on: backend, stages,
                driving: optimizers)
        }
    }

    /// Builds a chain in front of an optimizer of MLX's.
    ///
    /// - Parameters:
    ///   - base: The optimizer, which is handed transformed gradients if a step is applied, and is not called otherwise.
    ///   - model: The model to train; only the names and shapes of what is not frozen are kept.
    ///   - outputsLast: The matrices whose outputs are the last axis; nil for none.
    ///   - configuration: How the chain runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    /// - Throws: `DescentError` with code `invalidSetting` where all parameters are frozen, or where `configuration` asks for
    ///   parameters to be left out of steps; and what building a chain throws.
    public convenience init(
        _ base: any MLXOptimizers.Optimizer, for model: Module,
        outputsLast: ParameterSelection? = .lowRankAdapters,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: SIMDBackend = SIMDBackend(),
        @ChainBuilder _ stages: () -> [any Stage]
    ) throws(DescentError) {
        let trained = try TrainedParameters(of: model, outputsLast: outputsLast)
        let chain = try GradientChain(for: trained.layout, configuration: configuration, on: backend, stages)
        self.init(try ChainRoute(chain, base), trained, outputsLast: outputsLast)
    }

    /// Builds a chain that goes on from a checkpoint, in front of an optimizer of MLX's.
    ///
    /// What the optimizer of MLX's remembered is not in the checkpoint.
    ///
    /// - Parameters:
    ///   - base: The optimizer.
    ///   - source: The path of a file that ``checkpoint(to:metadata:)`` wrote, or a `Checkpoint`.
    ///   - policy: How strictly the chain has to be the one that was saved.
    ///   - model: The model as it was then.
    ///   - outputsLast: The matrices whose outputs are the last axis; nil for none.
    ///   - configuration: How the chain runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    /// - Throws: `DescentError`, as resuming a pipeline does.
    public convenience init(
        _ base: any MLXOptimizers.Optimizer, resuming source: some CheckpointSource,
        _ policy: ResumptionPolicy = .sameStages, for model: Module,
        outputsLast: ParameterSelection? = .lowRankAdapters,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: SIMDBackend = SIMDBackend(),
        @ChainBuilder _ stages: () -> [any Stage]
    ) throws(DescentError) {
        let trained = try TrainedParameters(of: model, outputsLast: outputsLast)
        let chain = try GradientChain(
            resuming: source, policy, for: trained.layout, configuration: configuration, on: backend, stages)
        self.init(try ChainRoute(chain, base), trained, outputsLast: outputsLast)
    }

    /// Builds a pipeline for the parameters of a model, which are lent to it.
    private convenience init(
        for model: Module, _ outputsLast: ParameterSelection?,
        _ makePipeline: (TensorSet) throws(DescentError) -> GradientPipeline<SIMDBackend>
    ) throws(DescentError) {
        let trained = try TrainedParameters(of: model, outputsLast: outputsLast)
        let lent = try trained.lend(model).parameters
        let pipeline: GradientPipeline<SIMDBackend>
        if lent.elementType == nil, let type = lent.elementTypes.first(where: { $0 != .float32 }) {
            // Of tensors only names, shapes and whether 16 bits may be trained matter, where they differ in type.
            pipeline = try makePipeline(TensorSet(zeros: trained.layout, type))
        } else {
            pipeline = try lent.withTensorSet(trained.layout, makePipeline)
        }
        self.init(PipelineRoute(pipeline), trained, outputsLast: outputsLast)
    }
}
