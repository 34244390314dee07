import Synchronization

extension Engine {
    /// How a micro-batch becomes part of its window, in the sweep that it is read in.
    struct Gathering {
        var slot: Int
        var factor: Float
        var overwrites: Bool
        /// Whether the stages before the accumulation work on it first.
        var runsMicroBatchStages = true
    }

    /// What one sweep does to every block.
    struct SweepProgram {
        /// What is done to the gradient.
        var operations: [Plan.Operation] = []
        /// What ends the sweep: an update, a store, or nothing.
        var end: [Plan.Operation] = []
        /// The accumulation that comes before the operations, where the sweep reads a micro-batch.
        var gathering: Gathering?
        /// What the window's sum is multiplied by, where the operations work on the accumulated window.
        var windowFactor: Float?
        /// Whether stages may change their slots for good.
        var keepsSlots = true
        /// Whether histograms are made of the gradient before the operations, if they were asked for.
        var makesHistograms = false
        var runsBackwards = false
    }

    /// Where the window's sum is, once a micro-batch has become part of it.
    var windowSlot: Int? { accumulatorSlot ?? inboxSlot }

    /// Runs a sweep over all blocks, or over some.
    func run(_ program: SweepProgram, _ tensors: StepTensors, over range: Range<Int>? = nil) {
        let readsWindow = program.windowFactor != nil && program.gathering == nil
        guard let source = readsWindow ? windowSlot.map({ self.slots[$0] }) : tensors.gradients else {
            preconditionFailure("a sweep without gradients to read")
        }
        let stages = stages
        let optimizer = optimizer
        let proposing = plan.proposal == nil ? nil : optimizer as? any ProposingOptimizer
        let plan = plan
        let layout = layout
        let blocks = blocks
        let firstSlots = firstSlots
        let rates = rates?.rates ?? []
        let runFactors = runFactors
        let slots = slots
        let prologue = program.gathering?.runsMicroBatchStages == true ? plan.microBatch?.final ?? [] : []
        let buffers = buffers
        let optimizerSlotCount = optimizerSlotCount
        let histograms = histogramSink
        let sweep = Sweep(
            gradients: source, parameters: tensors.parameters, output: tensors.output, parameterCopy: parameterCopy,
            slots: slots, appliedSteps: appliedSteps, rowMeans: buffers.rowMeans, blocks: blocks, range: range,
            runsBackwards: program.runsBackwards)
        backend.run(sweep, in: workspace) { block, index in
            let parameter = block.parameterIndex
            func perform(_ operation: Plan.Operation, keepsSlots: Bool) {
                switch operation {
                case .scale(let run):
                    block.scale(by: runFactors[run * layout.count + parameter])
                case .transform(let stage):
                    block.slotAccess = SlotAccess(
                        first: firstSlots[stage], count: firstSlots[stage + 1] - firstSlots[stage],
                        isKept: keepsSlots)
                    stages[stage].transform(&block)
                case .measure(let column):
                    buffers.blockNorms[column * blocks.count + index] = plan.columns[column].what.measure(&block)
                case .accumulate:
                    guard let gathering = program.gathering else { return }
                    block.accumulate(
                        into: gathering.slot, factor: gathering.factor, overwriting: gathering.overwrites)
                case .propose, .update:
                    let first = firstSlots[stages.count]
                    block.slotAccess = SlotAccess(first: first, count: optimizerSlotCount)
                    block.rates = rates[parameter]
                    if operation == .update { optimizer?.update(&block) } else { proposing?.propose(&block) }
                case .rememberParameters: block.rememberParameters()
                case .measureUpdate(let column):
                    buffers.blockNorms[column * blocks.count + index] = block.updateNorm()
                case .addToHistograms:
                    var histogram = MagnitudeHistogram()
                    block.addElements(to: &histogram)
                    histograms?.add(histogram, of: parameter)
                case .copyParameters: block.copyParameters()
                case .discardGradient: block.discardGradient()
                case .store:
                    block.store()
                }
            }
            if program.gathering != nil {
                for operation in prologue { perform(operation, keepsSlots: true) }
                perform(.accumulate, keepsSlots: true)
            }
            if let factor = program.windowFactor { block.scale(by: factor) }
            if program.makesHistograms, histograms != nil { perform(.addToHistograms, keepsSlots: false) }
            for operation in program.operations { perform(operation, keepsSlots: program.keepsSlots) }
            for operation in program.end { perform(operation, keepsSlots: true) }
        }
    }

    /// Counts what is not finite in one parameter's gradient as it lies in memory.
    func countNonFinite(
        _ parameter: Int, _ tensors: StepTensors, isWindow: Bool
    ) -> (nan: Int, infinite: Int) {
        let source = isWindow ? windowSlot.map { slots[$0] } : tensors.gradients
        guard let source else { return (0, 0) }
        let counts = Mutex((nan: 0, infinite: 0))
        let sweep = Sweep(gradients: source, blocks: blocks, range: blockRanges[parameter])
        backend.run(sweep, in: workspace) { block, _ in
            let found = block.withElements { elements in
                var found = (nan: 0, infinite: 0)
                for index in elements.indices {
                    if elements[index].isNaN { found.nan += 1 }
                    if elements[index].isInfinite { found.infinite += 1 }
                }
                return found
            }
            counts.withLock { $0 = ($0.nan + found.nan, $0.infinite + found.infinite) }
        }
        return counts.withLock { $0 }
    }
}
