/// What one sweep does to each block: the innermost loop of a step.
///
/// It is generic over the block alone, and knows no backend, so that what it needs to know of the block's type is
/// looked up once for each block and not once for each operation.
struct BlockWork: Sendable {
    private let transforms: [any GradientTransform]
    private let drivers: [OptimizerDriver]
    private let statistics: [Plan.Statistic]
    private let microBatchOperations: [Plan.Operation]
    private let operations: [Plan.Operation]
    private let end: [Plan.Operation]
    private let addition: WindowAddition?
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
        let plan = engine.plan
        transforms = engine.chain.transforms
        drivers = engine.drivers
        statistics = plan.statistics
        microBatchOperations = program.addition?.runsMicroBatchStages == true ? plan.microBatch?.final ?? [] : []
        operations = program.operations
        end = program.end
        addition = program.addition
        windowFactor = program.windowFactor ?? 1
        keepsSlots = program.keepsSlots
        checksSum = program.checksSum
        checksResult = plan.checksResult
        checksParametersFirst = !engine.divergence.knowsParameters
        accesses = engine.accesses
        rates = engine.drivers.first?.rates.rates ?? []
        runFactors = engine.chain.runFactors
        parameterCount = engine.layout.count
        blockCount = engine.sweeps.blocks.count
        buffers = engine.sweeps.buffers
        histograms = program.makesHistograms ? engine.reporter.histogramSink : nil
    }

    func run(on block: inout some UpdateBlock, at index: Int) {
        makeWindow(&block, at: index)
        if histograms != nil { perform(.addToHistograms, on: &block, at: index, keepsSlots: false) }
        for operation in operations { perform(operation, on: &block, at: index, keepsSlots: keepsSlots) }
        for operation in end { perform(operation, on: &block, at: index, keepsSlots: true) }
    }

    /// Makes the block that of the window.
    func makeWindow(_ block: inout some UpdateBlock, at index: Int) {
        if let addition {
            for operation in microBatchOperations { perform(operation, on: &block, at: index, keepsSlots: keepsSlots) }
            block.accumulate(onto: addition.sum, into: addition.destination, factor: addition.factor)
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
        case .transform(let position):
            block.slotAccess = accesses.ofTransform(position, isKept: keepsSlots)
            transforms[position].transform(&block)
        case .measure(let statistic):
            buffers.blockNorms[statistic * blockCount + index] = statistics[statistic].what.measure(&block)
        case .checkGradient: buffers.flags[index] = block.isFinite() ? [] : .isNotFinite
        case .update: update(&block, at: index)
        case .propose:
            prepareUpdate(of: &block)
            drivers[0].optimizer.propose(&block)
        case .rememberParameters: block.rememberParameters()
        case .measureUpdate(let statistic):
            buffers.blockNorms[statistic * blockCount + index] = block.updateNorm()
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
        drivers[0].optimizer.update(&block)
        guard checksResult else { return }
        if !block.parametersAreFinite() { flags.insert(.isNotFinite) }
        buffers.flags[index] = flags
    }

    private func prepareUpdate(of block: inout some UpdateBlock) {
        block.slotAccess = accesses.ofOptimizer
        block.rates = rates[block.parameterIndex]
    }
}

extension Requirement {
    /// Measures a block.
    fileprivate func measure(_ block: inout some GradientBlock) -> Double {
        switch self {
        case .norm(let norm): block.norm(norm)
        case .parameterNorm(let norm): block.parameterNorm(norm)
        case .nonFiniteCount: Double(block.nonFiniteCount())
        case .count(let limit): Double(block.count(below: limit))
        case .finite, .parameters: 0
        }
    }
}
