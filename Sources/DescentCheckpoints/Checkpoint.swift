public import DescentCore
public import DescentSafetensors

/// A checkpoint that is open to be read: what was saved with it, before anything is resumed from it.
///
/// ```swift
/// let checkpoint = try Checkpoint(contentsOf: "run.safetensors")
/// var batch = Int(checkpoint.metadata["batches"] ?? "") ?? 0
/// var optimizer = try Pipeline(resuming: checkpoint, restoring: &parameters) { … } driving: { … }
/// ```
/// The file is opened once. Its header is read and checked then; tensors are read when a pipeline goes on from it.
/// A checkpoint of several processes is opened by the path that they gave, in any number of processes.
public struct Checkpoint: Sendable {
    /// The file, whose tensors other programs can read, too; or those that the processes of a job wrote, as one.
    public let file: SafetensorsFile
    /// What the caller had saved, as text by key; keys that begin with "descent." are Descent's own and not among them.
    public let metadata: [String: String]
    private let record: CheckpointRecord

    /// How many steps had been applied and skipped.
    public var counters: StepCounters { record.counters }
    /// How many steps had been applied.
    public var appliedSteps: Int { counters.appliedSteps }
    /// How many steps had been skipped.
    public var skippedSteps: Int { counters.skippedSteps }

    /// Opens a checkpoint.
    ///
    /// - Parameter path: A file that `checkpoint(to:including:metadata:)` wrote, in one process or in several together.
    /// - Throws: `DescentError` with code `fileAccess` if a file cannot be read, `invalidFile` if it is
    ///   no checkpoint, its header is damaged or a process's part is of another save, or `unsupportedVersion` if another
    ///   version of Descent wrote it.
    public init(contentsOf path: String) throws(DescentError) {
        try self.init(SafetensorsFile(contentsOf: path))
    }

    /// Reads what an open file says of a pipeline.
    ///
    /// - Throws: `DescentError`, as ``init(contentsOf:)`` does.
    public init(_ file: SafetensorsFile) throws(DescentError) {
        self.file = file
        record = try Self.resuming(file.path) { () throws(DescentError) in try CheckpointRecord(file) }
        metadata = file.metadata.filter { !$0.key.hasPrefix("descent.") }
    }

    /// Reads the state into tensors.
    ///
    /// - Parameter backend: Who makes the tensors.
    /// - Returns: What a pipeline can go on from.
    /// - Throws: `DescentError` that names the tensor which is missing, damaged or of another shape.
    public func state<Backend: TensorBackend>(
        on backend: Backend
    ) throws(DescentError) -> PipelineState<Backend.Tensors> {
        try PipelineState(record, of: file, on: backend)
    }

    /// Reads what one of several processes holds of the state into tensors.
    ///
    /// No more is in memory than that, and a mebibyte; of tensors that other rows are in, too, all bytes are read, so that
    /// their checksums can be checked.
    ///
    /// - Parameters:
    ///   - backend: Who makes the tensors.
    ///   - division: Which rows of the parameters this process holds. The number of processes that the checkpoint was
    ///     written by is of no consequence.
    /// - Returns: What the process can go on from.
    /// - Throws: `DescentError`, as ``state(on:)`` does, or with code `stateMismatch` if these are rows of other parameters.
    public func state<Backend: TensorBackend>(
        on backend: Backend, division: RowDivision
    ) throws(DescentError) -> PipelineState<Backend.Tensors> {
        try PipelineState(record, of: file, on: backend, division: division)
    }

    /// Refuses a checkpoint that parameters were not saved with.
    ///
    /// - Throws: `DescentError` with code `missingParameter` that says what to do.
    func requireParameters() throws(DescentError) {
        let hasParameters = file.entries.contains { $0.name.hasPrefix(CheckpointRecord.parameterPrefix) }
        guard !hasParameters, !record.parameters.isEmpty else { return }
        throw DescentError(
            .missingParameter, parameter: record.parameters.first?.name,
            "no parameters were saved with it. Save them, `checkpoint(to: path, including: parameters)`, or restore them by "
                + "other means and resume with `for: parameters`.")
    }

    /// Reads what a process holds of the state; nil for all of it.
    func state<Backend: TensorBackend>(
        on backend: Backend, holding division: RowDivision?
    ) throws(DescentError) -> PipelineState<Backend.Tensors> {
        guard let division else { return try state(on: backend) }
        return try state(on: backend, division: division)
    }

    /// Does something with the checkpoint; errors on the way say which one it was.
    func resuming<Result>(_ body: (Checkpoint) throws(DescentError) -> Result) throws(DescentError) -> Result {
        try Self.resuming(file.path) { () throws(DescentError) in try body(self) }
    }

    private static func resuming<Result>(
        _ path: String, _ body: () throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        do throws(DescentError) { return try body() } catch {
            throw DescentError(
                error.code, parameter: error.parameter, stage: error.stage,
                "Cannot resume from \"\(path)\": \(error.message)")
        }
    }
}

/// What a pipeline can go on from: the path of a checkpoint, or a ``Checkpoint`` that is open already.
public protocol CheckpointSource {
    /// Opens the checkpoint, if it is not open.
    ///
    /// - Throws: `DescentError`, as ``Checkpoint/init(contentsOf:)`` does.
    func openCheckpoint() throws(DescentError) -> Checkpoint
}

extension Checkpoint: CheckpointSource {
    public func openCheckpoint() -> Checkpoint { self }
}

extension String: CheckpointSource {
    public func openCheckpoint() throws(DescentError) -> Checkpoint { try Checkpoint(contentsOf: self) }
}
