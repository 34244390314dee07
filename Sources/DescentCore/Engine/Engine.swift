/// What pipelines and chains have in common: a chain of stages, its plan, and the parts that carry out a step.
///
/// How a step runs is told in `Engine+Step.swift`.
struct Engine<Backend: TensorBackend>: Sendable {
    typealias Tensors = StepTensors<Backend.Tensors>

    let layout: ParameterLayout
    let configuration: PipelineConfiguration
    let plan: Plan
    /// The stages as they were handed over, sorted by what they are.
    let elements: ChainElements
    let slotTable: SlotTable
    /// What each transform and the optimizer may use of a block.
    let accesses: StageAccesses

    /// The transforms and their factors.
    var chain: TransformChain
    /// The window, if a stage gathers micro-batches.
    var accumulation: Accumulation?
    /// The exchange with other processes, if one takes place.
    var exchange: (any GradientExchange)?
    /// What drives the optimizer; none or one.
    ///
    /// It is in an array, whose elements are called where they are: an optional would make a copy in memory of its own,
    /// several times a step.
    var drivers: [OptimizerDriver]
    /// Backend, blocks, slots and buffers.
    var sweeps: SweepRunner<Backend>
    /// What has been measured in the present step.
    var measurements: Measurements
    /// Which parameters are known not to be finite.
    var divergence: DivergenceCheck
    var counters = StepCounters()
    /// Report, histograms and observers.
    var reporter: StepReporter
    /// The micro-batch whose gradients are arriving one by one.
    var received: ReceivedGradients?

    init(
        backend: Backend, layout: ParameterLayout, stages: [any Stage], optimizer: (any Optimizer)?,
        configuration: PipelineConfiguration, resuming state: PipelineState<Backend.Tensors>? = nil,
        _ policy: ResumptionPolicy = .sameStages
    ) throws(DescentError) {
        let elements = try ChainElements(stages)
        try configuration.validate()
        // Before anything is configured or resumed, which may make values of their own on each process.
        let setup = elements.exchange.map { _ in
            PipelineSetup(stages: stages, optimizer: optimizer, configuration: configuration)
        }
        var parts = EngineParts(elements, optimizer)
        let saved = try parts.configure(for: layout, resuming: state, policy)
        try elements.requireExchangeInOrder()

        let plan = Planner.plan(
            for: parts.transforms, around: elements.window,
            Planner.Surroundings(
                configuration: configuration, hasOptimizer: optimizer != nil,
                proposesUpdate: parts.optimizer?.proposesUpdate ?? false))
        let isFrozen = layout.map { parameter in elements.freezes.contains { $0.selection.contains(parameter) } }
        let slotTable = try SlotTable(elements, parts.transforms, parts.optimizer)

        self.layout = layout
        self.configuration = configuration
        self.plan = plan
        self.elements = elements
        self.slotTable = slotTable
        accesses = StageAccesses(parts.transforms, parts.optimizer, slotTable)
        drivers = []
        if let optimizer = parts.optimizer { drivers = [try OptimizerDriver(optimizer, for: layout)] }
        chain = TransformChain(
            parts.transforms, for: layout, selection: elements.freezes.isEmpty ? nil : isFrozen.map { !$0 }, plan)
        if let window = elements.window, let slot = slotTable.ofWindow {
            accumulation = Accumulation(
                name: stages[window.position].name, settings: window.settings, slot: slot, window: parts.window)
        }
        exchange = parts.exchange.flatMap { $0.exchanged.isEmpty ? nil : $0 }
        sweeps = SweepRunner(
            backend, layout, isFrozen: isFrozen, slotTable, plan, parameterCopy: configuration.parameterCopy)
        measurements = Measurements(plan, parameterCount: layout.count, blocks: sweeps.blocks)
        divergence = DivergenceCheck(parameterCount: layout.count)
        reporter = StepReporter(configuration.reporting, for: layout)
        if let state { restore(state, saved) }
        if let setup { try connect(as: setup) }
    }

    /// The optimizer, if there is one.
    var optimizer: (any Optimizer)? { drivers.first?.optimizer }

    /// The stages as they are now.
    var currentStages: [any Stage] {
        var stages = elements.stages(with: chain.transforms)
        if let exchange, let position = elements.exchange?.position { stages[position] = exchange }
        return stages
    }

    /// Whether a window has been given micro-batches and is not closed.
    var isWindowOpen: Bool { accumulation?.window.isOpen ?? false }

    /// Makes sure that no copy of this engine sees what this one writes.
    mutating func makeUnique() {
        sweeps.makeUnique()
        reporter.makeUnique()
    }

    /// Runs a sweep over all blocks, or over some.
    func run(_ program: SweepProgram, _ tensors: StepTensors<Backend.Tensors>, over range: Range<Int>? = nil) {
        sweeps.run(BlockWork(self, program), program, tensors, appliedSteps: counters.appliedSteps, over: range)
    }

    /// Fills the copy of the parameters before the first step.
    func copyParameters(_ parameters: Backend.Tensors) {
        guard sweeps.parameterCopy != nil else { return }
        run(SweepProgram(end: [.copyParameters]), StepTensors(gradients: parameters, parameters: parameters))
        sweeps.runFrozen(parameters) { $0.copyParameters() }
    }
}
