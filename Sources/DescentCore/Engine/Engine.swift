/// What pipelines and chains have in common: a chain of stages, its plan, and the parts that carry out a step.
///
/// How a step runs is told in `Engine+Step.swift`.
struct Engine<Backend: TensorBackend>: Sendable {
    typealias Tensors = StepTensors<Backend.Tensors>

    /// What it is since it was built.
    let design: EngineDesign
    /// For each component whose settings were changed while training, what they are.
    var changedSettings: [Int: any ComponentState]

    /// The transforms, the optimizers, and factors.
    var chain: TransformChain
    /// The window, if a stage gathers micro-batches.
    var accumulation: Accumulation?
    /// The exchange with other processes, if one takes place.
    var exchange: (any GradientExchange)?
    /// What drives the optimizer of each branch; none for a chain alone.
    var drivers: [OptimizerDriver]
    /// Learning rate and weight decay of each parameter in the present step, from the driver of its branch.
    var rates: [UpdateRates] = []
    /// What has been measured in the present step.
    var measurements: Measurements
    /// Which parameters are known not to be finite.
    var divergence: DivergenceCheck
    var counters = StepCounters()
    /// Which followers begin although others have been before.
    var followerStarts = FollowerStarts()
    /// Report, histograms and observers.
    var reporter: StepReporter
    /// Which gradients are absent in the present micro-batch, and who takes no part because of that.
    var absence = AbsentGradients()
    /// How the tensors are stored that a host lends.
    var lentTypes = LentTypes()
    /// The micro-batch whose gradients are arriving one by one.
    var received: ReceivedGradients?
    /// Whether rows have been updated that other processes have not been given yet.
    var hasUpdatedRows = false
    /// Backend, blocks, slots and buffers.
    var sweeps: SweepRunner<Backend>

    init(
        backend: Backend, layout: ParameterLayout, stages: [any Stage], driving branches: [OptimizerBranch],
        configuration: PipelineConfiguration, resuming state: PipelineState<Backend.Tensors>? = nil,
        _ policy: ResumptionPolicy = .sameStages
    ) throws(DescentError) {
        let keepsMasters = configuration.lowPrecisionParameters == .masterCopies && !branches.isEmpty
        var composition = Composition(stages: stages, branches: branches, keepsMasters: keepsMasters)
        let kinds = composition.kinds
        var resumption = Resumption<Backend.Tensors>(ofNothing: kinds.count)
        if let state {
            resumption = try Resumption(state, for: layout, kinds: kinds, policy)
            if configuration.resumedSettings == .saved { try composition.adoptSettings(of: resumption.saved) }
        }
        try self.init(backend, layout, composition, configuration, resuming: state, resumption)
    }

    /// Builds an engine of what has been handed over.
    ///
    /// - Parameters:
    ///   - backend: Who does the arithmetic.
    ///   - layout: The parameters.
    ///   - composition: The stages and optimizers.
    ///   - configuration: How it runs.
    ///   - sharding: What shares rows with other processes, where it is connected to them already; nil to take the
    ///     configuration's.
    ///   - state: What it goes on from.
    ///   - resumption: Which component goes on from what.
    /// - Throws: ``DescentError`` for what cannot be built, shared with other processes, or gone on from.
    init(
        _ backend: Backend, _ layout: ParameterLayout, _ composition: Composition,
        _ configuration: PipelineConfiguration, sharingOver sharding: (any GradientExchange)? = nil,
        resuming state: PipelineState<Backend.Tensors>?, _ resumption: Resumption<Backend.Tensors>
    ) throws(DescentError) {
        let (stages, branches) = (composition.stages, composition.branches)
        let elements = try PipelineElements(stages, branches)
        try configuration.validate()
        try Self.requireShareable(elements, configuration, backend)
        var parts = EngineParts(elements, sharing: sharding ?? configuration.sharding?.exchange)
        // Before anything is configured or resumed, which may make values of their own on each process.
        let setup = parts.exchange.map { _ in
            PipelineSetup(stages: stages, branches: branches, configuration: configuration)
        }
        var resumption = resumption
        try parts.configure(for: layout, resuming: &resumption)
        try elements.chain.requireExchangeInOrder()

        let design = try EngineDesign(composition, elements, parts, for: layout, configuration)
        let (plan, slotTable) = (design.plan, design.slotTable)
        try state?.requireRows(of: design.division)
        self.design = design
        changedSettings = [:]
        for (position, component) in resumption.saved.enumerated() {
            changedSettings[position] = configuration.resumedSettings == .saved ? component?.changedSettings : nil
        }
        drivers = try Self.drivers(parts, layout)
        chain = TransformChain(
            parts, design.stations, for: layout, design.owners, isActive: design.isFrozen.map { !$0 }, plan)
        if let window = elements.chain.window, let slot = slotTable.ofWindow {
            accumulation = Accumulation(
                name: stages[window.position].name, settings: window.settings, slot: slot, window: parts.window)
        }
        exchange = parts.exchange.flatMap { $0.exchanged.isEmpty ? nil : $0 }
        try slotTable.requireKept(by: backend)
        sweeps = try SweepRunner(
            backend, layout, isFrozen: design.isFrozen, slotTable, plan, design.whole, design.division,
            parameterCopy: configuration.parameterCopy,
            adopting: design.division == nil ? resumption.slots(for: slotTable) : []
        ) { [slotTable] in slotTable.isJoinable && parts.areUpdatedAlike($0, $1, by: design.owners) }
        measurements = Measurements(plan, parameterCount: layout.count, blocks: sweeps.blocks)
        divergence = DivergenceCheck(parameterCount: layout.count)
        reporter = StepReporter(configuration.reporting, for: layout)
        if let state { try restore(state, resumption) }
        if let setup { try connect(as: setup) }
    }

    /// Refuses to share rows where nothing is updated, and where a stage exchanges gradients besides.
    private static func requireShareable(
        _ elements: PipelineElements, _ configuration: PipelineConfiguration, _ backend: Backend
    ) throws(DescentError) {
        guard configuration.sharding != nil else { return }
        guard !elements.branches.isEmpty else {
            throw DescentError(
                .invalidSetting,
                "A chain alone keeps no state of an optimizer that could be shared: sharding is for a Pipeline.")
        }
        if let position = elements.chain.exchange?.position {
            let name = elements.chain.stages[position].name
            throw DescentError(
                .invalidSetting, stage: name,
                "\(name) and sharding would each combine the gradients of all processes: leave out the stage.")
        }
        guard !backend.takesRowDivisions else { return }
        throw DescentError(
            .invalidSetting,
            "Rows cannot be shared with other processes on \(Backend.self), whose takesRowDivisions is false.")
    }

    private static func drivers(
        _ parts: EngineParts, _ layout: ParameterLayout
    ) throws(DescentError) -> [OptimizerDriver] {
        let names = Slot.owners(parts.optimizers.map(\.name))
        var drivers: [OptimizerDriver] = []
        for index in parts.optimizers.indices {
            drivers.append(try OptimizerDriver(parts.optimizers[index], named: names[index], for: layout))
        }
        return drivers
    }

    /// The stages in front of the optimizers as they are now.
    var currentStages: [any Stage] {
        var stages = elements.chain.stages(with: Array(chain.transforms.prefix(elements.trunkCount)))
        if let exchange, let position = elements.chain.exchange?.position { stages[position] = exchange }
        return stages
    }

    /// The optimizers as they are now, each with what is behind it.
    var currentBranches: [OptimizerBranch] {
        elements.branches.enumerated().map { index, elements in
            var branch = elements.branch
            branch.optimizer = chain.optimizers[index]
            let first = self.elements.firstTransform(ofBranch: index)
            for (offset, transform) in elements.transforms.enumerated() {
                branch.stages[transform.position] = chain.transforms[first + offset]
            }
            for (offset, follower) in elements.followers.enumerated() {
                branch.stages[follower.position] =
                    chain.followers[chain.branchPlaces[index].followers.lowerBound + offset]
            }
            return branch
        }
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
        sweeps.run(
            BlockWork(self, program), program, tensors, appliedSteps: counters.appliedSteps, over: range,
            joining: range == nil ? neighbours(in: program, tensors) : [])
    }

    /// Runs the last sweep, or one like it, in which some parameters may be handed out as whole tensors.
    func runLast(_ program: SweepProgram, _ tensors: StepTensors<Backend.Tensors>) {
        var program = program
        program.leavesOutWholeTensors = !sweeps.isWholeInLastSweep.isEmpty
        run(program, tensors)
        guard program.leavesOutWholeTensors else { return }
        program.leavesOutWholeTensors = false
        let work = BlockWork(self, program)
        for whole in sweeps.tensorsOfLastSweep {
            sweeps.run(work, program, tensors, appliedSteps: counters.appliedSteps, overWhole: whole)
        }
    }

    /// Makes a pass over whole tensors, whose results and slots wait beside those that last.
    mutating func run(
        _ pass: Int, _ tensors: StepTensors<Backend.Tensors>, _ closing: ClosingWindow
    ) throws(DescentError) {
        try sweeps.copySlots(of: passes[pass])
        chain.multiplyRunFactors()
        var addition = closing.addition
        addition?.destination = nil
        var program = SweepProgram(
            operations: plan.passes[pass].operations, end: plan.passes[pass].end, addition: addition,
            windowFactor: closing.factor, keepsSlots: false)
        program.pass = pass
        let exchange = exchange.flatMap { $0.dividesWholeTensors ? $0 : nil }
        let isOwn = exchange.map { exchange in layout.indices.map { exchange.computes($0) } }
        sweeps.run(
            BlockWork(self, program), program, tensors, appliedSteps: counters.appliedSteps,
            overWhole: sweeps.tensorsOfPasses[pass], where: isOwn)
        if exchange != nil { try share(passes[pass]) }
    }

    /// Gives all processes what each has made of its part of the whole tensors.
    private mutating func share(_ pass: TensorPass) throws(DescentError) {
        let parameters = layout.indices.filter { pass.isChosen[$0] && layout[$0].count > 0 }
        for slot in [pass.result] + Array(pass.firstShadow..<pass.firstShadow + pass.slots.count) {
            try exchange?.share(&sweeps.slots[slot], of: parameters)
        }
    }

    /// Fills the copy of the parameters before the first step.
    ///
    /// - Throws: What the exchange throws, where processes share rows, of which each copies its own.
    mutating func copyParameters(_ parameters: Backend.Tensors) throws(DescentError) {
        guard sweeps.parameterCopy != nil else { return }
        run(SweepProgram(end: [.copyParameters]), StepTensors(gradients: parameters, parameters: parameters))
        sweeps.runFrozen(parameters) { $0.copyParameters() }
        try gatherParameterCopy()
    }
}
