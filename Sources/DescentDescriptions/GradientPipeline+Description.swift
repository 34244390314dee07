public import DescentCheckpoints
public import DescentCore

extension GradientPipeline {
    /// Builds the pipeline that a document describes.
    ///
    /// - Parameters:
    ///   - parameters: The parameters to train.
    ///   - description: The chain, the optimizer, and how they run.
    ///   - backend: Who does the arithmetic.
    /// - Throws: `DescentError` with code `invalidDocument` if there is no optimizer, or what building the
    ///   pipeline throws.
    public init(
        for parameters: Backend.Tensors, _ description: PipelineDescription, on backend: Backend = Backend()
    ) throws(DescentError) {
        let branches = try description.requireOptimizer()
        try self.init(
            for: parameters, configuration: description.configuration, on: backend, { description.stages },
            driving: { branches })
    }

    /// Builds the pipeline that a document describes, to go on where another one was.
    ///
    /// See `init(resuming:_:for:configuration:on:_:driving:)`.
    ///
    /// - Throws: `DescentError`, as building and resuming a pipeline do.
    public init(
        resuming state: PipelineState<Backend.Tensors>, _ policy: ResumptionPolicy = .sameStages,
        for parameters: Backend.Tensors, _ description: PipelineDescription, on backend: Backend = Backend()
    ) throws(DescentError) {
        let branches = try description.requireOptimizer()
        try self.init(
            resuming: state, policy, for: parameters, configuration: description.configuration, on: backend,
            { description.stages }, driving: { branches })
    }

    /// Builds the pipeline that a document describes, to go on from a checkpoint, with parameters that the caller has
    /// restored.
    ///
    /// - Throws: `DescentError`, as building a pipeline and resuming from a checkpoint do.
    public init(
        resuming source: some CheckpointSource, _ policy: ResumptionPolicy = .sameStages,
        for parameters: Backend.Tensors, _ description: PipelineDescription, on backend: Backend = Backend()
    ) throws(DescentError) {
        let branches = try description.requireOptimizer()
        try self.init(
            resuming: source, policy, for: parameters, configuration: description.configuration, on: backend,
            { description.stages }, driving: { branches })
    }

    /// Builds the pipeline that a document describes, to go on from a checkpoint, and restores the parameters that were
    /// saved in it.
    ///
    /// ```swift
    /// var optimizer = try Pipeline(
    ///     resuming: "run.safetensors", restoring: &parameters, PipelineDescription(contentsOf: "run.json"))
    /// ```
    /// - Throws: `DescentError`, as building a pipeline and resuming from a checkpoint do.
    public init(
        resuming source: some CheckpointSource, _ policy: ResumptionPolicy = .sameStages,
        restoring parameters: inout Backend.Tensors, _ description: PipelineDescription, on backend: Backend = Backend()
    ) throws(DescentError) {
        let branches = try description.requireOptimizer()
        try self.init(
            resuming: source, policy, restoring: &parameters, configuration: description.configuration, on: backend,
            { description.stages }, driving: { branches })
    }

    /// What describes the chain, the optimizer and how they run.
    public var pipelineDescription: PipelineDescription {
        PipelineDescription(stages: stages, branches: branches, configuration: configuration)
    }
}

extension GradientChain {
    /// Builds the chain that a document describes.
    ///
    /// - Parameters:
    ///   - layout: The names and shapes of the gradients.
    ///   - description: The chain, and how it runs.
    ///   - backend: Who does the arithmetic.
    /// - Throws: `DescentError` with code `invalidDocument` if there is an optimizer, or what building the
    ///   chain throws.
    public init(
        for layout: ParameterLayout, _ description: PipelineDescription, on backend: Backend = Backend()
    ) throws(DescentError) {
        try description.requireNoOptimizer()
        try self.init(for: layout, configuration: description.configuration, on: backend) { description.stages }
    }

    /// Builds the chain that a document describes, to go on where another one was.
    ///
    /// - Throws: `DescentError`, as building and resuming a chain do.
    public init(
        resuming state: PipelineState<Backend.Tensors>, _ policy: ResumptionPolicy = .sameStages,
        for layout: ParameterLayout, _ description: PipelineDescription, on backend: Backend = Backend()
    ) throws(DescentError) {
        try description.requireNoOptimizer()
        try self.init(
            resuming: state, policy, for: layout, configuration: description.configuration, on: backend
        ) { description.stages }
    }

    /// Builds the chain that a document describes, to go on from a checkpoint.
    ///
    /// - Throws: `DescentError`, as building a chain and resuming from a checkpoint do.
    public init(
        resuming source: some CheckpointSource, _ policy: ResumptionPolicy = .sameStages, for layout: ParameterLayout,
        _ description: PipelineDescription, on backend: Backend = Backend()
    ) throws(DescentError) {
        try description.requireNoOptimizer()
        try self.init(
            resuming: source, policy, for: layout, configuration: description.configuration, on: backend
        ) { description.stages }
    }
}

extension PipelineDescription {
    fileprivate func requireOptimizer() throws(DescentError) -> [OptimizerBranch] {
        guard !branches.isEmpty else {
            throw DescentError(.invalidDocument, "The description has no optimizer, which a pipeline needs.")
        }
        return branches
    }

    fileprivate func requireNoOptimizer() throws(DescentError) {
        guard let optimizer else { return }
        throw DescentError(
            .invalidDocument, stage: optimizer.name,
            "The description has an optimizer, \(optimizer.name), which a chain leaves to others. Build a pipeline, or set "
                + "the description's optimizer to nil.")
    }
}
