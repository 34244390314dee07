/// What `Pipeline` and `Chain` have in common: stages, plan, memory, and the step itself.
struct Engine<Backend: TensorBackend>: Sendable {
    let backend: Backend
    let layout: ParameterLayout
    let blocks: [BlockExtent]
    /// The blocks of parameters that a stage has taken out.
    let frozenBlocks: [BlockExtent]
    /// For each parameter, its blocks.
    let blockRanges: [Range<Int>]
    let plan: Plan
    let stageNames: [String]
    /// For each stage, then for the optimizer, the position of its first slot.
    let firstSlots: [Int]
    let slotNames: [String]
    let slotTypes: [ElementType]
    let optimizerSlotCount: Int
    /// For each stage, then for the optimizer, what it may use of a block.
    let accesses: StageAccesses
    /// How micro-batches are gathered, if a stage does.
    let accumulation: Accumulation?
    /// The micro-batches of the open window.
    var window = AccumulationWindow()
    /// Whether the window's sum holds the micro-batch that closes it.
    var sumIsWritten = false
    /// Where gradients received one by one are kept, if they cannot become part of the window at once; made when the
    /// first arrives.
    var inboxSlot: Int?
    /// The micro-batch whose gradients are arriving one by one.
    var reception: Reception?
    /// The layers that the report is to tell of.
    let layers: [(name: String, parameters: [Int])]
    var observers: [@Sendable (StepEvent) -> Void] = []
    /// Where the next step is to make histograms, if they were asked for.
    var histogramSink: HistogramSink?
    /// Whether histograms have been asked for since the present micro-batch began.
    var wantsHistograms = false
    var histograms: [MagnitudeHistogram] = []

    /// The stages; the window of the one that accumulates is in ``window``.
    var stages: [any GradientTransform]
    /// The optimizer; none or one.
    ///
    /// It is in an array, whose elements are called where they are: a cast or an optional would make a copy in memory of
    /// its own, several times a step.
    var optimizers: [any Optimizer]
    var rates: ResolvedRates?
    var slots: [Backend.Tensors]
    /// The parameters after the last applied step, in another element type.
    var parameterCopy: Backend.Tensors?
    var workspace: Backend.Workspace
    var appliedSteps = 0
    var skippedSteps = 0
    /// How many steps in a row have been skipped because something was not finite, and how many may be.
    var skipsInARow = 0
    let skipLimit: Int?
    /// For each parameter, whether it holds NaN or infinities, which is no news then.
    var wasNotFinite: [Bool]
    /// Whether that has been looked at.
    var knowsParameters = false
    /// The parameters that take part, where a stage has taken out others.
    let unfrozen: [Bool]?
    var report = StepReport()

    // Buffers of a step, kept so that no step allocates.
    var measured: [MeasuredColumn]
    var stageFactors: [ScaleFactors]
    var runFactors: [Double]
    var incomingFactors: [Double]
    var buffers: StepBuffers

    init(
        backend: Backend, layout: ParameterLayout, stages: [any GradientTransform], optimizer: (any Optimizer)?,
        options: PipelineOptions, resuming state: PipelineState<Backend.Tensors>? = nil,
        _ policy: ResumptionPolicy = .sameStages
    ) throws(DescentError) {
        try StageOrder.check(stages.map { ($0.name, $0.order) })
        // Before anything is configured or resumed, which may make values of their own on each process.
        let exchanges = stages.contains { $0 is any Exchanging }
        let setup = exchanges ? PipelineSetup(stages: stages, optimizer: optimizer, options: options.described) : nil
        var stages = stages
        var optimizer = optimizer
        let saved = try Self.configure(&stages, &optimizer, for: layout, resuming: state, policy)
        try StageOrder.checkExchange(stages)
        rates = nil
        if let optimizer { rates = try ResolvedRates(optimizer, layout: layout) }

        let plan = Planner.plan(
            for: stages,
            Planner.Surroundings(
                policy: options.nonFinite, hasOptimizer: optimizer != nil,
                proposes: optimizer is any ProposingOptimizer, copiesParameters: options.parameterCopy != nil,
                reporting: options.reporting))
        let excluding = stages.compactMap { $0 as? any Excluding }
        func isFrozen(_ block: BlockExtent) -> Bool {
            excluding.contains { $0.excludes(layout[block.parameterIndex]) }
        }
        let allBlocks = backend.blocks(of: layout)
        let blocks = allBlocks.filter { !isFrozen($0) }
        var firstSlots: [Int] = []
        var slotNames: [String] = []
        var slotTypes: [ElementType] = []
        let owners = Slot.owners(stages.map(\.name) + [optimizer?.name ?? ""])
        for (owner, owned) in zip(owners, stages.map(\.slots) + [optimizer?.slots ?? []]) {
            try DescentError.require(
                Set(owned.map(\.name)).count == owned.count, owner, "two of its slots have the same name.")
            firstSlots.append(slotNames.count)
            slotNames += owned.map { "\(owner).\($0.name)" }
            slotTypes += owned.map(\.elementType)
        }

        self.backend = backend
        self.layout = layout
        self.blocks = blocks
        self.frozenBlocks = allBlocks.filter(isFrozen)
        var blockRanges = layout.map { _ in 0..<0 }
        for (index, block) in blocks.enumerated() {
            let range = blockRanges[block.parameterIndex]
            blockRanges[block.parameterIndex] = (range.isEmpty ? index : range.lowerBound)..<index + 1
        }
        self.blockRanges = blockRanges
        if case .skipAtMost(let limit) = options.nonFinite {
            try DescentError.require(
                limit >= 1, "Pipeline", "the limit of skipped steps is \(limit); it has to be at least 1.")
            skipLimit = limit
        } else {
            skipLimit = nil
        }
        self.optimizerSlotCount = optimizer?.slots.count ?? 0
        self.accesses = StageAccesses(stages, optimizer)
        self.layers = Self.layers(of: options.reporting.contains(.layerNorms) ? layout : nil)
        self.parameterCopy = options.parameterCopy.map { backend.makeTensors(layout, $0) }
        self.plan = plan
        self.stageNames = stages.map(\.name)
        self.firstSlots = firstSlots
        self.slotNames = slotNames
        self.slotTypes = slotTypes
        self.accumulation = plan.accumulating.flatMap { index in
            (stages[index] as? any Accumulating).map { Accumulation($0, at: index, slot: firstSlots[index]) }
        }
        self.unfrozen =
            excluding.isEmpty ? nil : layout.map { parameter in !excluding.contains { $0.excludes(parameter) } }
        self.wasNotFinite = layout.map { _ in false }
        self.stages = stages
        self.optimizers = optimizer.map { [$0] } ?? []
        self.slots = slotTypes.map { backend.makeTensors(layout, $0) }
        self.workspace = backend.makeWorkspace(for: layout, blocks: blocks)
        let rowCount = layout.reduce(0) { $0 + ($1.rank > 1 ? $1.rowCount : 0) }
        self.measured = plan.columns.map {
            MeasuredColumn(what: $0.what, values: [Double](repeating: 0, count: layout.count))
        }
        self.stageFactors = stages.map { _ in ScaleFactors() }
        self.runFactors = [Double](repeating: 1, count: plan.runs.count * layout.count)
        self.incomingFactors = [Double](repeating: 1, count: layout.count)
        self.buffers = StepBuffers(
            columnCount: plan.columns.count, blockCount: blocks.count, rowCount: plan.keepsRowMeans ? rowCount : 0)
        if let index = plan.accumulating, let stage = stages[index] as? any Accumulating { window = stage.state }
        if let state { restore(state, saved) }
        if let setup { try connect(as: setup) }
    }

    /// The optimizer, if there is one.
    var optimizer: (any Optimizer)? { optimizers.first }

    /// What the loss is to be multiplied by.
    var lossScale: Float {
        var scale: Float = 1
        for index in stages.indices { scale *= stages[index].lossScale }
        return scale
    }

    /// The stages as they are now.
    var currentStages: [any GradientTransform] {
        var stages = stages
        if let index = plan.accumulating, var stage = stages[index] as? any Accumulating {
            stage.state = window
            stages[index] = stage
        }
        return stages
    }

    /// Makes sure that no copy of this engine sees what this one writes.
    mutating func makeUnique() {
        for index in slots.indices { slots[index].makeUnique() }
        parameterCopy?.makeUnique()
        if !isKnownUniquelyReferenced(&workspace) { workspace = backend.makeWorkspace(for: layout, blocks: blocks) }
        if !isKnownUniquelyReferenced(&buffers) { buffers = buffers.copy() }
        if !isKnownUniquelyReferenced(&histogramSink) { histogramSink = histogramSink?.copy() }
    }

    private static func layers(of layout: ParameterLayout?) -> [(name: String, parameters: [Int])] {
        var layers: [(name: String, parameters: [Int])] = []
        var positions: [String: Int] = [:]
        for (index, parameter) in (layout ?? ParameterLayout.empty).enumerated() {
            let name = parameter.layer
            if let position = positions[name] {
                layers[position].parameters.append(index)
            } else {
                positions[name] = layers.count
                layers.append((name, [index]))
            }
        }
        return layers
    }
}
