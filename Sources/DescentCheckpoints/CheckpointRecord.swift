import DescentCore
import DescentJSON
import DescentSafetensors

/// What a checkpoint says besides its tensors: the document in its metadata.
struct CheckpointRecord {
    struct Parameter {
        let name: String
        let shape: [Int]
        let outputAxis: OutputAxis
    }

    struct Slot: Codable {
        let name: String
        let elementType: ElementType
        /// How many numbers it keeps of a parameter; left out where it has the parameter's shape.
        var shape: DescentCore.Slot.Shape?
        /// The positions of the parameters that its owner works on; left out where it is all of them.
        var parameters: [Int]?
    }

    struct Component: Codable {
        let kind: String
        let name: String
        let state: JSON
        let slots: [Slot]
        /// Its settings, where they were changed while training.
        var changedSettings: JSON?
    }

    /// Where in the metadata of the file it is.
    static let metadataKey = "descent.checkpoint"
    /// The version of the format that is written, and the only one so far.
    static let formatVersion = 1
    /// What comes before the names of parameters.
    static let parameterPrefix = "parameters/"

    let counters: StepCounters
    let parameters: [Parameter]
    let components: [Component]
    /// What schedules remember that follow a metric.
    let metricStates: [String: MetricState]

    /// What comes before the names of parameters in the tensors of a slot: "2 Accumulate/sum/".
    static func prefix(ofSlot slot: String, kind: String, at index: Int) -> String { "\(index) \(kind)/\(slot)/" }

    init<Tensors>(_ state: PipelineState<Tensors>) throws(DescentError) {
        counters = state.counters
        metricStates = state.metricStates
        parameters = state.layout.map { Parameter(name: $0.name, shape: $0.shape, outputAxis: $0.outputAxis) }
        var components: [Component] = []
        for component in state.components {
            var settings: JSON?
            if let changed = component.changedSettings { settings = try JSON(encoding: changed) }
            components.append(
                Component(
                    kind: component.kind, name: component.name, state: try JSON(encoding: component.state),
                    slots: component.slots.map { Slot($0, of: state.layout) }, changedSettings: settings))
        }
        self.components = components
    }

    /// Reads the record of a file.
    init(_ file: SafetensorsFile) throws(DescentError) {
        guard let text = file.metadata[Self.metadataKey] else {
            throw DescentError(
                .invalidFile,
                "it holds tensors but not the state of a pipeline, which `checkpoint(to:)` writes.")
        }
        guard file.hasChecksums else {
            throw DescentError(.invalidFile, "its checksums are missing, without which damage would not be found.")
        }
        do throws(DescentError) { try self.init(parsing: text) } catch {
            guard error.code == .invalidJSON || error.code == .invalidDocument else { throw error }
            throw DescentError(.invalidFile, "its state is not what it should be: \(error.message)")
        }
    }

    private init(parsing text: String) throws(DescentError) {
        let (outline, parameters) = try Array(text.utf8).span.withUnsafeBytes { bytes throws(DescentError) in
            try Self.read(bytes)
        }
        self.parameters = parameters
        (counters, components) = (outline.counters, outline.components)
        metricStates = outline.metricStates ?? [:]
        guard min(counters.appliedSteps, counters.skippedSteps, counters.consecutiveSkips) >= 0 else {
            throw DescentError(.invalidFile, "it counts fewer than 0 steps.")
        }
        for component in components where Set(component.slots.map(\.name)).count < component.slots.count {
            throw DescentError(.invalidFile, "it has two buffers of one name of \(component.name).")
        }
    }

    /// What a slot keeps of each parameter.
    ///
    /// - Throws: `DescentError` with code `invalidFile` for positions that no parameter has.
    static func layout(of slot: Slot, in layout: ParameterLayout) throws(DescentError) -> ParameterLayout {
        guard slot.shape != nil || slot.parameters != nil || slot.elementType.byteCount == 1 else { return layout }
        var isUsed: [Bool]?
        if let positions = slot.parameters {
            isUsed = [Bool](repeating: false, count: layout.count)
            for position in positions {
                guard layout.indices.contains(position) else {
                    throw DescentError(
                        .invalidFile, "its buffer \(slot.name.quotedBriefly) is of parameters that it has not.")
                }
                isUsed?[position] = true
            }
        }
        return try DescentCore.Slot.layout(slot.shape ?? .parameter, slot.elementType, of: layout, isUsed: isUsed)
    }

    func makeLayout() throws(DescentError) -> ParameterLayout {
        var descriptions: [ParameterDescription] = []
        for parameter in parameters {
            descriptions.append(
                try ParameterDescription(parameter.name, shape: parameter.shape, outputAxis: parameter.outputAxis))
        }
        return try ParameterLayout(descriptions)
    }
}

extension CheckpointRecord.Slot {
    /// Describes a slot that is saved.
    init(_ slot: SavedSlot<some TensorStorage>, of layout: ParameterLayout) {
        name = slot.name
        elementType = slot.tensors.elementType
        shape = slot.shape == .parameter ? nil : slot.shape
        let used = layout.indices.filter { slot.tensors.layout[$0].count > 0 || layout[$0].count == 0 }
        parameters = used.count == layout.count ? nil : used
    }
}
