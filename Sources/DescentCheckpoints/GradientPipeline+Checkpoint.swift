public import DescentCore
import DescentSafetensors

extension GradientPipeline {
    /// Saves everything that a run needs to go on with the same bits, in one safetensors file.
    ///
    /// That is every slot, the open accumulation window with its weights, loss scale and histories, and the counts of
    /// steps. The file is written beside the target and takes its place all at once: a process that is killed, or a
    /// full disk, leaves the old checkpoint as it was.
    /// ```swift
    /// try optimizer.checkpoint(to: "run.safetensors", including: parameters, metadata: ["epoch": "\(epoch)"])
    /// ```
    /// How far the data has been read is the caller's to save, as text: count the batches that were taken, whatever
    /// became of them, since steps that were skipped are not in `appliedSteps`. ``Checkpoint/metadata`` has it again.
    ///
    /// To write while training goes on, take `pipeline.state` and write that.
    ///
    /// Where processes share rows (`PipelineConfiguration.sharding`), all of them call this between the same steps, and write
    /// one checkpoint together: each a file of its own, beside an index at the path. It is read by the same path, in any
    /// number of processes.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - parameters: The parameters, to be saved too; nil leaves them to the caller.
    ///   - metadata: Text of the caller's by key.
    ///   - limit: How long to wait for another writer to the same file.
    /// - Throws: `DescentError` with code `fileAccess`, the path and the operating system's reason, or
    ///   `incompleteMicroBatch` while gradients arrive one by one.
    public func checkpoint(
        to path: String, including parameters: Backend.Tensors? = nil, metadata: [String: String] = [:],
        waitingAtMost limit: Duration = .seconds(60)
    ) throws(DescentError) {
        if let parameters { try requireLayout(parameters) }
        let state = try state
        guard state.division != nil else {
            return try state.write(to: path, including: parameters, metadata: metadata, waitingAtMost: limit)
        }
        try state.write(to: path, including: parameters, metadata: metadata, waitingAtMost: limit) {
            (values) throws(DescentError) in try gather(values)
        }
    }

    /// Builds a pipeline that goes on from a checkpoint, with parameters that the caller has restored.
    ///
    /// - Parameters:
    ///   - source: The path of a file that ``checkpoint(to:including:metadata:waitingAtMost:)`` wrote, or a ``Checkpoint``.
    ///   - policy: How strictly the chain has to be the one that was saved.
    ///   - parameters: The parameters as they were then.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizers: What ends the chain.
    /// - Throws: `DescentError` with code `fileAccess` if the file cannot be read, `invalidFile` if it is no checkpoint or
    ///   is damaged, `unsupportedVersion` if another version of Descent wrote it, `stateMismatch` if another chain did, and
    ///   errors that name a parameter where the layout differs.
    public init(
        resuming source: some CheckpointSource, _ policy: ResumptionPolicy = .sameStages,
        for parameters: Backend.Tensors, configuration: PipelineConfiguration = PipelineConfiguration(),
        on backend: Backend = Backend(), @ChainBuilder _ stages: () -> [any Stage] = { [] },
        @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        let (stages, branches) = (stages(), optimizers())
        self = try source.openCheckpoint().resuming { (checkpoint) throws(DescentError) in
            let division = try Self.division(of: parameters.layout, configuration, stages, driving: branches)
            return try GradientPipeline(
                resuming: checkpoint.state(on: backend, holding: division), policy, for: parameters,
                configuration: configuration, on: backend, { stages }, driving: { branches })
        }
    }

    /// Builds a pipeline that goes on from a checkpoint, and restores the parameters that were saved in it.
    ///
    /// See `init(resuming:_:for:configuration:on:_:driving:)`. The parameters are tensors of the same names and shapes,
    /// which become what was saved, unless this throws.
    ///
    /// - Throws: `DescentError`; also one with code `missingParameter` if the parameters were not saved.
    public init(
        resuming source: some CheckpointSource, _ policy: ResumptionPolicy = .sameStages,
        restoring parameters: inout Backend.Tensors, configuration: PipelineConfiguration = PipelineConfiguration(),
        on backend: Backend = Backend(), @ChainBuilder _ stages: () -> [any Stage] = { [] },
        @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        var restored = parameters
        let (stages, branches) = (stages(), optimizers())
        self = try source.openCheckpoint().resuming { (checkpoint) throws(DescentError) in
            let division = try Self.division(of: restored.layout, configuration, stages, driving: branches)
            let state = try checkpoint.state(on: backend, holding: division)
            // The state knows best how the layout differs, if it does.
            if state.layout.elementsEqual(restored.layout) {
                try checkpoint.requireParameters()
                try restored.load(from: checkpoint.file, prefix: CheckpointRecord.parameterPrefix)
            }
            return try GradientPipeline(
                resuming: state, policy, for: restored, configuration: configuration, on: backend, { stages },
                driving: { branches })
        }
        parameters = restored
    }

    private func requireLayout(_ parameters: Backend.Tensors) throws(DescentError) {
        guard !parameters.layout.elementsEqual(layout) else { return }
        throw DescentError(.shapeMismatch, "The parameters to save are not those that the pipeline was built for.")
    }
}

extension GradientChain {
    /// Saves everything that a run needs to go on with the same bits, in one safetensors file.
    ///
    /// See `GradientPipeline.checkpoint(to:including:metadata:waitingAtMost:)`.
    ///
    /// - Throws: `DescentError` with code `fileAccess`, the path and the operating system's reason.
    public func checkpoint(
        to path: String, metadata: [String: String] = [:], waitingAtMost limit: Duration = .seconds(60)
    ) throws(DescentError) {
        try state.write(to: path, metadata: metadata, waitingAtMost: limit)
    }

    /// Builds a chain that goes on from a checkpoint: the path of a file, or a ``Checkpoint``.
    ///
    /// - Throws: `DescentError`, as a pipeline does.
    public init(
        resuming source: some CheckpointSource, _ policy: ResumptionPolicy = .sameStages, for layout: ParameterLayout,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: Backend = Backend(),
        @ChainBuilder _ stages: () -> [any Stage]
    ) throws(DescentError) {
        self = try source.openCheckpoint().resuming { (checkpoint) throws(DescentError) in
            try GradientChain(
                resuming: checkpoint.state(on: backend), policy, for: layout, configuration: configuration, on: backend,
                stages)
        }
    }
}
