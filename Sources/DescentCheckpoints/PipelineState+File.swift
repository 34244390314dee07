public import DescentCore
import DescentJSON
import DescentSafetensors

extension PipelineState {
    /// Writes the state to a safetensors file; a file that is already there is replaced all at once, or not at all.
    ///
    /// Tensors are written from where they are; scalar state goes to the metadata, as JSON. Each tensor and the header
    /// have a checksum.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - parameters: The parameters, to be saved too.
    ///   - metadata: Text of the caller's by key, such as how far the data has been read.
    ///   - limit: How long to wait for another writer to the same file.
    /// - Throws: `DescentError` with code `fileAccess`, the path and the operating system's reason. The
    ///   old file is whole then.
    /// - Complexity: O(n) in the bytes of the tensors, which are not copied.
    public func write(
        to path: String, including parameters: Tensors? = nil, metadata: [String: String] = [:],
        waitingAtMost limit: Duration = .seconds(60)
    ) throws(DescentError) {
        if let division, division.rankCount > 1 {
            throw DescentError(
                .stateMismatch,
                "This is what rank \(division.rank) of \(division.rankCount) holds of the state. Have all ranks call the "
                    + "pipeline's `checkpoint(to:)` together.")
        }
        let record = try CheckpointRecord(self)
        let former = try? SafetensorsIndex(at: path)
        var writer = SafetensorsWriter(metadata: metadata)
        writer.metadata[CheckpointRecord.metadataKey] = try record.text()
        if let parameters { try writer.add(parameters, prefix: CheckpointRecord.parameterPrefix) }
        for (index, component) in components.enumerated() {
            for slot in component.slots {
                try writer.add(
                    slot.tensors,
                    prefix: CheckpointRecord.prefix(ofSlot: slot.name, kind: component.kind, at: index))
            }
        }
        try writer.write(to: path, waitingAtMost: limit)
        // What was replaced may have been the index of a job's shards.
        guard let former, let folder = try? ShardFolder(ofIndex: path) else { return }
        for name in former.fileNames where folder.save(ofShard: name) != nil { folder.remove(name) }
    }

    /// Reads a state, or what one of several processes holds of it.
    ///
    /// No more memory is taken than the file is long (or twice that, for 16-bit floats that are widened): shapes are
    /// those of tensors that are in the file before anything is made of them.
    ///
    /// - Parameters:
    ///   - record: What the file says of the state.
    ///   - file: A file that ``write(to:including:metadata:waitingAtMost:)`` wrote, or the shards of a job.
    ///   - backend: Who makes the tensors.
    ///   - division: Which rows of the parameters to read slots of; nil for all.
    /// - Throws: `DescentError` that names the tensor which is missing, damaged or of another shape.
    init<Backend: TensorBackend>(
        _ record: CheckpointRecord, of file: SafetensorsFile, on backend: Backend, division: RowDivision? = nil
    ) throws(DescentError) where Backend.Tensors == Tensors {
        let layout = try record.makeLayout()
        try division?.requireRows(of: layout)
        let places = try record.places(in: file, of: layout)
        var components: [Component] = []
        for (component, places) in zip(record.components, places) {
            var slots: [SavedSlot<Tensors>] = []
            for (slot, place) in zip(component.slots, places) {
                let tensors = try place.read(file, on: backend, of: layout, division)
                slots.append(SavedSlot(name: slot.name, shape: place.shape, tensors: tensors, of: place.layout))
            }
            components.append(
                Component(
                    kind: component.kind, name: component.name, state: WrittenState(json: component.state),
                    slots: slots, changedSettings: component.changedSettings.map { WrittenState(json: $0) }))
        }
        let today = components.indices.flatMap { index in
            components[index].today(before: index + 1 < components.count ? components[index + 1].kind : nil)
        }
        self.init(
            counters: record.counters, layout: layout, components: today, metricStates: record.metricStates,
            division: division)
    }
}

/// A component's state as it stands in a file.
private struct WrittenState: ComponentState {
    let json: JSON

    func value<State: Codable & Sendable>(as type: State.Type) throws -> State { try json.decode(type) }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(json)
    }
}
