/// What an engine is from the day that it is built: components, plan, and who uses what.
///
/// It is shared by all copies of the engine, which are made in every step.
final class EngineDesign: Sendable {
    let layout: ParameterLayout
    let configuration: PipelineConfiguration
    /// The stages and optimizers as they were handed over, and changed since.
    let composition: Composition
    /// The stages and optimizers, sorted by what they are.
    let elements: PipelineElements
    /// What stands on the way from gradients to updates, in order.
    let stations: [Station]
    /// For each parameter, whether a stage has frozen it.
    let isFrozen: [Bool]
    /// Which branch moves each parameter.
    let owners: ParameterOwners
    let plan: Plan
    let slotTable: SlotTable
    /// Which tensors are handed out whole.
    let whole: WholeTensorPlan
    /// What each transform, optimizer and follower may use of a block.
    let accesses: StageAccesses
    /// Which rows this process works on, where others work on the rest; nil where it works on all.
    let division: RowDivision?

    /// Plans what has been handed over.
    ///
    /// - Parameters:
    ///   - composition: The stages and optimizers.
    ///   - elements: The same, sorted.
    ///   - parts: The same, configured.
    ///   - layout: The parameters.
    ///   - configuration: How the pipeline runs, whatever its stages.
    /// - Throws: ``DescentError`` for parameters that no optimizer takes, and slots that cannot be kept.
    init(
        _ composition: Composition, _ elements: PipelineElements, _ parts: EngineParts, for layout: ParameterLayout,
        _ configuration: PipelineConfiguration
    ) throws(DescentError) {
        self.layout = layout
        self.configuration = configuration
        self.composition = composition
        self.elements = elements
        let (freezes, stations) = (elements.chain.freezes, parts.stations)
        let isFrozen = layout.map { parameter in freezes.contains { $0.selection.contains(parameter) } }
        let owners = try ParameterOwners(composition.branches, of: layout, isFrozen: isFrozen)
        let plan = Planner.plan(
            for: stations, around: elements.chain.window,
            Planner.Surroundings(
                configuration: configuration, trunkCount: elements.trunkCount,
                branches: elements.branches.indices.map { elements.stations(ofBranch: $0) },
                dividesWholeTensors: parts.exchange.map { $0.dividesWholeTensors && !$0.exchanged.isEmpty } ?? false,
                mayBeRefused: parts.exchange?.exchanged.contains(.rows) ?? false))
        var slotTable = try SlotTable(
            elements, parts.slots, layout, isFrozen: isFrozen, owners, keepsMasters: composition.keepsMasters)
        whole = WholeTensorPlan(plan, parts, stations, layout, owners, isFrozen: isFrozen, slotTable)
        try Self.requireAllGradients(parts, configuration)
        let needed = whole.isNeededWhole
        division = parts.exchange.flatMap {
            $0.exchanged.contains(.rows) ? $0.division(of: layout, keepingWhole: needed) : nil
        }
        if let division { try slotTable.keepOnly(division, of: layout) }
        accesses = StageAccesses(stations, parts.followers, slotTable)
        (self.stations, self.isFrozen, self.owners) = (stations, isFrozen, owners)
        (self.plan, self.slotTable) = (plan, slotTable)
    }

    /// Refuses gradients to be absent where processes exchange them, which would not agree on who takes part.
    private static func requireAllGradients(
        _ parts: EngineParts, _ configuration: PipelineConfiguration
    ) throws(DescentError) {
        guard configuration.missing != .refuse, let exchange = parts.exchange, !exchange.exchanged.isEmpty else {
            return
        }
        let name = exchange.name
        throw DescentError(
            .invalidSetting, stage: name,
            "\(name) exchanges gradients between processes, each of which has to have all of them. Set missing: .refuse in "
                + "the configuration, and hand over zeros.")
    }
}

extension Engine {
    @inline(__always) var layout: ParameterLayout { design.layout }
    @inline(__always) var configuration: PipelineConfiguration { design.configuration }
    @inline(__always) var composition: Composition { design.composition }
    @inline(__always) var elements: PipelineElements { design.elements }
    @inline(__always) var owners: ParameterOwners { design.owners }
    @inline(__always) var plan: Plan { design.plan }
    @inline(__always) var slotTable: SlotTable { design.slotTable }
    @inline(__always) var accesses: StageAccesses { design.accesses }
    /// The passes over whole tensors.
    @inline(__always) var passes: [TensorPass] { design.whole.passes }
}
