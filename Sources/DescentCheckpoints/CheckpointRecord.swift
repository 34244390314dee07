import DescentCore
import DescentJSON
import DescentSafetensors

/// What a checkpoint says besides its tensors: the document in its metadata.
struct CheckpointRecord {
    struct Parameter {
        let name: String
        let shape: [Int]
        let outputAxis: OutputAxis
        /// Where its rows are divided, from 0 to their number, if what slots keep of them is in several tensors.
        var bounds: [Int]?
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

    /// What comes before the names of parameters in the tensors of a slot: "2 Accumulate/sum/", or, where a tensor has some
    /// rows of its parameter alone, "2 Accumulate/sum[128:256]/".
    ///
    /// Rows stand here and not behind the parameter's name, which may look like anything.
    static func prefix(
        ofSlot slot: String, kind: String, at index: Int, rows: Range<Int>? = nil
    ) -> String {
        "\(index) \(kind)/\(slot)\(rows.map { "[\($0.lowerBound):\($0.upperBound)]" } ?? "")/"
    }

    /// Describes a state.
    ///
    /// - Parameters:
    ///   - state: All of it, or what a rank has of it.
    ///   - isUsed: Whether the owner of a slot works on a parameter, by the prefix of the slot and the parameter's position;
    ///     nil where the state has all of its slots.
    /// - Throws: ``DescentError`` with code `invalidDocument` for a component's state that cannot be written as JSON.
    init<Tensors>(
        _ state: PipelineState<Tensors>, isUsed: ((_ prefix: String, _ parameter: Int) -> Bool)? = nil
    ) throws(DescentError) {
        counters = state.counters
        metricStates = state.metricStates
        parameters = state.layout.enumerated().map { index, parameter in
            Parameter(
                name: parameter.name, shape: parameter.shape, outputAxis: parameter.outputAxis,
                bounds: state.division.flatMap { $0.bounds(of: index) })
        }
        var components: [Component] = []
        for (index, component) in state.components.enumerated() {
            var settings: JSON?
            if let changed = component.changedSettings { settings = try JSON(encoding: changed) }
            components.append(
                Component(
                    kind: component.kind, name: component.name, state: try JSON(encoding: component.state),
                    slots: component.slots.map { slot in
                        let prefix = Self.prefix(ofSlot: slot.name, kind: component.kind, at: index)
                        return Slot(slot, of: state.layout, isUsed: isUsed.map { isUsed in { isUsed(prefix, $0) } })
                    }, changedSettings: settings))
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
    fileprivate init(
        _ slot: SavedSlot<some TensorStorage>, of layout: ParameterLayout, isUsed: ((_ parameter: Int) -> Bool)?
    ) {
        name = slot.name
        elementType = slot.tensors.elementType
        shape = slot.shape == .parameter ? nil : slot.shape
        let isKept = isUsed ?? { slot.tensors.layout[$0].count > 0 }
        let used = layout.indices.filter { isKept($0) || layout[$0].count == 0 }
        parameters = used.count == layout.count ? nil : used
    }
}
