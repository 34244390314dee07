import Testing

@testable import DescentCore

/// What an engine is made of, for tests of its parts.
struct PlannedPipeline {
    let layout: ParameterLayout
    let elements: PipelineElements
    let parts: EngineParts
    let stations: [Station]
    let plan: Plan
    let owners: ParameterOwners
    let slots: SlotTable
    let isFrozen: [Bool]

    /// Plans a pipeline, as an engine does.
    init(
        _ stages: [any Stage], _ branches: [OptimizerBranch] = [], of layout: ParameterLayout, isFrozen: [Bool]? = nil
    ) throws {
        let (elements, isFrozen) = (try PipelineElements(stages, branches), isFrozen ?? layout.map { _ in false })
        let parts = EngineParts(elements, sharing: nil)
        (self.layout, self.elements, self.parts, self.isFrozen) = (layout, elements, parts, isFrozen)
        stations = parts.stations
        plan = Planner.plan(
            for: stations, around: elements.chain.window,
            .init(
                trunkCount: elements.trunkCount,
                branches: elements.branches.indices.map { elements.stations(ofBranch: $0) }))
        owners = try ParameterOwners(branches, of: layout, isFrozen: isFrozen)
        slots = try SlotTable(elements, parts.slots, layout, isFrozen: isFrozen, owners)
    }

    /// The transforms and optimizers, ready for a step.
    var chain: TransformChain {
        TransformChain(parts, stations, for: layout, owners, isActive: isFrozen.map { !$0 }, plan)
    }

    /// Which tensors are handed out whole.
    var whole: WholeTensorPlan { WholeTensorPlan(plan, parts, stations, layout, owners, isFrozen: isFrozen, slots) }
}
