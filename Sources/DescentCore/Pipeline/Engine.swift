/// What `Pipeline` and `Chain` have in common: stages, plan, memory, and the step itself.
struct Engine<Backend: TensorBackend>: Sendable {
    let backend: Backend
    let layout: ParameterLayout
    let blocks: [BlockExtent]
    let plan: Plan
    let stageNames: [String]
    /// For each stage, then for the optimizer, the position of its first slot.
    let firstSlots: [Int]
    let slotNames: [String]
    let slotTypes: [ElementType]
    let accumulatorSlot: Int?

    var stages: [any GradientTransform]
    var optimizer: (any Optimizer)?
    var rates: ResolvedRates?
    var slots: [Backend.Tensors]
    /// The parameters after the last applied step, in another element type.
    var parameterCopy: Backend.Tensors?
    var workspace: Backend.Workspace
    var appliedSteps = 0
    var skippedSteps = 0
    var report = StepReport()

    // Buffers of a step, kept so that no step allocates.
    var measured: [MeasuredColumn]
    var stageFactors: [ScaleFactors]
    var runFactors: [Float]
    var incomingFactors: [Float]
    var buffers: StepBuffers

    init(
        backend: Backend, layout: ParameterLayout, stages: [any GradientTransform], optimizer: (any Optimizer)?,
        policy: NonFinitePolicy
    ) throws(DescentError) {
        try StageOrder.check(stages.map { ($0.name, $0.order) })
        var stages = stages
        for index in stages.indices { try stages[index].configure(for: layout) }
        var optimizer = optimizer
        try optimizer?.configure(for: layout)
        rates = nil
        if let optimizer { rates = try ResolvedRates(optimizer, layout: layout) }

        let plan = Planner.plan(for: stages, policy: policy, proposes: optimizer is any ProposingOptimizer)
        let excluding = stages.compactMap { $0 as? any Excluding }
        let blocks = backend.blocks(of: layout).filter { block in
            !excluding.contains { $0.excludes(layout[block.parameterIndex]) }
        }
        var firstSlots: [Int] = []
        var slotNames: [String] = []
        var slotTypes: [ElementType] = []
        for (owner, owned) in stages.map({ ($0.name, $0.slots) }) + [(optimizer?.name ?? "", optimizer?.slots ?? [])] {
            try DescentError.require(
                owned.count <= UnsafeBlockElements.maximumSlotCount, owner,
                "it declares \(owned.count) slots; at most \(UnsafeBlockElements.maximumSlotCount) are possible.")
            firstSlots.append(slotNames.count)
            slotNames += owned.map { "\(owner).\($0.name)" }
            slotTypes += owned.map(\.elementType)
        }

        self.backend = backend
        self.layout = layout
        self.blocks = blocks
        self.plan = plan
        self.stageNames = stages.map(\.name)
        self.firstSlots = firstSlots
        self.slotNames = slotNames
        self.slotTypes = slotTypes
        self.accumulatorSlot = plan.accumulating.map { firstSlots[$0] }
        self.stages = stages
        self.optimizer = optimizer
        self.slots = slotTypes.map { backend.makeTensors(layout, $0) }
        self.workspace = backend.makeWorkspace(for: layout, blocks: blocks)
        let rowCount = layout.reduce(0) { $0 + ($1.rank > 1 ? $1.rowCount : 0) }
        self.measured = plan.columns.map {
            MeasuredColumn(what: $0.what, values: [Double](repeating: 0, count: layout.count))
        }
        self.stageFactors = stages.map { _ in ScaleFactors() }
        self.runFactors = [Float](repeating: 1, count: plan.runs.count * layout.count)
        self.incomingFactors = [Float](repeating: 1, count: layout.count)
        self.buffers = StepBuffers(
            columnCount: plan.columns.count, blockCount: blocks.count, rowCount: plan.keepsRowMeans ? rowCount : 0)
    }

    /// What the loss is to be multiplied by.
    var lossScale: Float {
        var scale: Float = 1
        for stage in stages {
            if let stage = stage as? any LossScaling { scale *= stage.lossScale }
        }
        return scale
    }

    /// Makes sure that no copy of this engine sees what this one writes.
    mutating func makeUnique() {
        for index in slots.indices { slots[index].makeUnique() }
        parameterCopy?.makeUnique()
        if !isKnownUniquelyReferenced(&workspace) { workspace = backend.makeWorkspace(for: layout, blocks: blocks) }
        if !isKnownUniquelyReferenced(&buffers) { buffers = buffers.makeAnother() }
    }

    /// Whether a window has been given micro-batches and is not closed.
    var isWindowOpen: Bool {
        guard let index = plan.accumulating, let stage = stages[index] as? any Accumulating else { return false }
        return stage.received > 0
    }

    /// Calls a body with the accumulating stage, to read it or to change it.
    mutating func withAccumulating<Result>(_ body: (inout any Accumulating) -> Result) -> Result? {
        guard let index = plan.accumulating, var stage = stages[index] as? any Accumulating else { return nil }
        let result = body(&stage)
        stages[index] = stage
        return result
    }
}
