/// What one sweep does to each block: the innermost loop of a step.
///
/// It is generic over the block alone, and knows no backend, so that what it needs to know of the block's type is
/// looked up once for each block and not once for each operation.
struct BlockWork: Sendable {
    private let stages: [any GradientTransform]
    private let optimizers: [any Optimizer]
    private let proposing: [any ProposingOptimizer]
    private let columns: [Plan.Column]
    private let prologue: [Plan.Operation]
    private let operations: [Plan.Operation]
    private let end: [Plan.Operation]
    private let gathering: Gathering?
    private let windowFactor: Double
    private let keepsSlots: Bool
    private let checksSum: Bool
    /// Whether what lasts is checked as it is written, and the parameters before that.
    private let checksResult: Bool
    private let checksParametersFirst: Bool
    private let accesses: StageAccesses
    private let rates: [UpdateRates]
    private let runFactors: [Double]
    private let parameterCount: Int
    private let blockCount: Int
    private let buffers: StepBuffers
    private let histograms: HistogramSink?

    init<Backend: TensorBackend>(_ engine: Engine<Backend>, _ program: SweepProgram) {
        stages = engine.stages
        optimizers = engine.optimizers
        proposing = engine.plan.proposal == nil ? [] : engine.optimizers.compactMap { $0 as? any ProposingOptimizer }
        columns = engine.plan.columns
        prologue = program.gathering?.runsMicroBatchStages == true ? engine.plan.microBatch?.final ?? [] : []
        operations = program.operations
        end = program.end
        gathering = program.gathering
        windowFactor = program.windowFactor ?? 1
        keepsSlots = program.keepsSlots
        checksSum = program.checksSum
        checksResult = engine.plan.checksResult
        checksParametersFirst = !engine.knowsParameters
        accesses = engine.accesses
        rates = engine.rates?.rates ?? []
        runFactors = engine.runFactors
        parameterCount = engine.layout.count
        blockCount = engine.blocks.count
        buffers = engine.buffers
        histograms = program.makesHistograms ? engine.histogramSink : nil
    }

    func run(on block: inout some UpdateBlock, at index: Int) {
        gather(&block, at: index)
        if histograms != nil { perform(.addToHistograms, on: &block, at: index, keepsSlots: false) }
        for operation in operations { perform(operation, on: &block, at: index, keepsSlots: keepsSlots) }
        for operation in end { perform(operation, on: &block, at: index, keepsSlots: true) }
    }

    /// Makes the block that of the window.
    func gather(_ block: inout some UpdateBlock, at index: Int) {
        if let gathering {
            for operation in prologue { perform(operation, on: &block, at: index, keepsSlots: keepsSlots) }
            block.accumulate(onto: gathering.sum, into: gathering.destination, factor: gathering.factor)
            if checksSum { buffers.flags[index] = block.isFinite() ? [] : .isNotFinite }
        }
        if windowFactor != 1 { block.scale(by: windowFactor) }
    }

    private func perform(
        _ operation: Plan.Operation, on block: inout some UpdateBlock, at index: Int, keepsSlots: Bool
    ) {
        switch operation {
        case .scale(let run):
            block.scale(by: runFactors[run * parameterCount + block.parameterIndex])
        case .transform(let stage):
            block.slotAccess = accesses.ofStage(stage, isKept: keepsSlots)
            stages[stage].transform(&block)
        case .measure(let column):
            buffers.blockNorms[column * blockCount + index] = columns[column].what.measure(&block)
        case .checkGradient: buffers.flags[index] = block.isFinite() ? [] : .isNotFinite
        case .update: update(&block, at: index)
        case .propose:
            prepareUpdate(of: &block)
            proposing[0].propose(&block)
        case .rememberParameters: block.rememberParameters()
        case .measureUpdate(let column): buffers.blockNorms[column * blockCount + index] = block.updateNorm()
        case .addToHistograms:
            var histogram = MagnitudeHistogram()
            block.addElements(to: &histogram)
            histograms?.add(histogram, of: block.parameterIndex)
        case .copyParameters: block.copyParameters()
        case .discardGradient: block.discardGradient()
        case .store:
            block.store()
            if checksResult { buffers.flags[index] = block.isFinite() ? [] : .isNotFinite }
        case .accumulate: break
        }
    }

    private func update(_ block: inout some UpdateBlock, at index: Int) {
        var flags: StepBuffers.Flags = []
        prepareUpdate(of: &block)
        if checksResult, checksParametersFirst, !block.parametersAreFinite() { flags.insert(.wasNotFinite) }
        optimizers[0].update(&block)
        guard checksResult else { return }
        if !block.parametersAreFinite() { flags.insert(.isNotFinite) }
        buffers.flags[index] = flags
    }

    private func prepareUpdate(of block: inout some UpdateBlock) {
        block.slotAccess = accesses.ofOptimizer
        block.rates = rates[block.parameterIndex]
    }
}
