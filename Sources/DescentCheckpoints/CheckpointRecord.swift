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
    }

    struct Component: Codable {
        let kind: String
        let name: String
        let state: JSON
        let slots: [Slot]
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

    /// What comes before the names of parameters in the tensors of a slot: "2 Accumulate/sum/".
    static func prefix(ofSlot slot: String, kind: String, at index: Int) -> String { "\(index) \(kind)/\(slot)/" }

    init<Tensors>(_ state: PipelineState<Tensors>) throws(DescentError) {
        counters = state.counters
        parameters = state.layout.map { Parameter(name: $0.name, shape: $0.shape, outputAxis: $0.outputAxis) }
        var components: [Component] = []
        for component in state.components {
            components.append(
                Component(
                    kind: component.kind, name: component.name, state: try JSON(encoding: component.state),
                    slots: component.slots.map { Slot(name: $0.name, elementType: $0.tensors.elementType) }))
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
        guard min(counters.appliedSteps, counters.skippedSteps, counters.consecutiveSkips) >= 0 else {
            throw DescentError(.invalidFile, "it counts fewer than 0 steps.")
        }
        for component in components where Set(component.slots.map(\.name)).count < component.slots.count {
            throw DescentError(.invalidFile, "it has two buffers of one name of \(component.name).")
        }
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
