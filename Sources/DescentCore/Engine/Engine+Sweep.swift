import Synchronization

extension Engine {
    /// Where the window's sum is, once a micro-batch has become part of it.
    var windowSlot: Int? { accumulation?.slot ?? inboxSlot }

    /// Runs a sweep over all blocks, or over some.
    func run(_ program: SweepProgram, _ tensors: StepTensors, over range: Range<Int>? = nil) {
        let work = BlockWork(self, program)
        backend.run(sweep(program, tensors, over: range), in: workspace) { block, index in
            work.run(on: &block, at: index)
        }
    }

    private func sweep(
        _ program: SweepProgram, _ tensors: StepTensors, over range: Range<Int>?
    ) -> Sweep<Backend.Tensors> {
        let readsWindow = program.windowFactor != nil && program.gathering == nil
        guard let source = readsWindow ? windowSlot.map({ self.slots[$0] }) : tensors.gradients else {
            stopForMisuse("a sweep without gradients to read")
        }
        return Sweep(
            gradients: source, parameters: tensors.parameters, output: tensors.output, parameterCopy: parameterCopy,
            slots: slots, appliedSteps: appliedSteps, rowMeans: buffers.rowMeans, blocks: blocks, range: range,
            runsBackwards: program.runsBackwards)
    }

    /// Runs a body over the parameters that a stage has taken out, which no other sweep reaches.
    func runFrozen(_ parameters: Backend.Tensors, _ body: @Sendable (inout Backend.Block) -> Void) {
        guard !frozenBlocks.isEmpty else { return }
        let sweep = Sweep(
            gradients: parameters, parameters: parameters, parameterCopy: parameterCopy, slots: slots,
            blocks: frozenBlocks)
        backend.run(sweep, in: backend.makeWorkspace(for: layout, blocks: frozenBlocks)) { block, _ in body(&block) }
    }

    /// The first parameter, in the order of the layout, in one of whose blocks the last sweep found something.
    func firstFlagged(_ flag: StepBuffers.Flags) -> Int? {
        buffers.firstBlock(with: flag).map { blocks[$0].parameterIndex }
    }

    /// Counts what is not finite in one parameter's gradient, or in the window's sum of it.
    func countNonFinite(
        _ parameter: Int, _ tensors: StepTensors, _ closing: Closing
    ) -> (nan: Int, infinite: Int) {
        let nan = Atomic(0)
        let infinite = Atomic(0)
        let program = SweepProgram(gathering: closing.gathering, windowFactor: closing.factor, keepsSlots: false)
        let work = BlockWork(self, program)
        backend.run(sweep(program, tensors, over: blockRanges[parameter]), in: workspace) { block, index in
            if closing.gathering != nil { work.gather(&block, at: index) }
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
