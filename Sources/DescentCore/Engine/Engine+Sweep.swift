import Synchronization

extension Engine {
    /// Where the window's sum is, once a micro-batch has become part of it.
    var windowSlot: Int? { accumulatorSlot ?? inboxSlot }

    /// Runs a sweep over all blocks, or over some.
    func run(_ program: SweepProgram, _ tensors: StepTensors, over range: Range<Int>? = nil) {
        let readsWindow = program.windowFactor != nil && program.gathering == nil
        guard let source = readsWindow ? windowSlot.map({ self.slots[$0] }) : tensors.gradients else {
            stopForMisuse("a sweep without gradients to read")
        }
        let sweep = Sweep(
            gradients: source, parameters: tensors.parameters, output: tensors.output, parameterCopy: parameterCopy,
            slots: slots, appliedSteps: appliedSteps, rowMeans: buffers.rowMeans, blocks: blocks, range: range,
            runsBackwards: program.runsBackwards)
        let work = BlockWork(self, program)
        backend.run(sweep, in: workspace) { block, index in work.run(on: &block, at: index) }
    }

    /// Runs a body over the parameters that a stage has taken out, which no other sweep reaches.
    func runFrozen(_ parameters: Backend.Tensors, _ body: @Sendable (inout Backend.Block) -> Void) {
        guard !frozenBlocks.isEmpty else { return }
        let sweep = Sweep(
            gradients: parameters, parameters: parameters, parameterCopy: parameterCopy, slots: slots,
            blocks: frozenBlocks)
        backend.run(sweep, in: backend.makeWorkspace(for: layout, blocks: frozenBlocks)) { block, _ in body(&block) }
    }

    /// Counts what is not finite in one parameter's gradient as it lies in memory.
    func countNonFinite(
        _ parameter: Int, _ tensors: StepTensors, isWindow: Bool
    ) -> (nan: Int, infinite: Int) {
        let source = isWindow ? windowSlot.map { slots[$0] } : tensors.gradients
        guard let source else { return (0, 0) }
        let nan = Atomic(0)
        let infinite = Atomic(0)
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
            nan.add(found.nan, ordering: .relaxed)
            infinite.add(found.infinite, ordering: .relaxed)
        }
        return (nan.load(ordering: .relaxed), infinite.load(ordering: .relaxed))
    }
}
