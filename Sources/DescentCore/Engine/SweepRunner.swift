import Synchronization

/// What runs sweeps: the backend, how it cuts the parameters into blocks, and the memory that lasts from step to step.
///
/// It holds references alone, so that its size, and where in an engine everything lies, does not depend on the backend:
/// generic code would look that up again and again.
struct SweepRunner<Backend: TensorBackend>: Sendable {
    private let design: SweepDesign<Backend>
    /// All slots, in the order of the slot table; then, once it is needed, that of received gradients.
    var slots: [Backend.Tensors]
    private var slotShapes: [Slot.Shape]
    /// Where gradients received one by one are kept, if they cannot become part of the window at once; made when the
    /// first arrives.
    private(set) var receivedSlot: Int?
    /// The slot for a window's sum beside the one that lasts, once one has been needed.
    private var exchangeSlot: Int?
    /// The parameters after the last applied step, in another element type; one or none.
    private var parameterCopies: [Backend.Tensors]
    private(set) var workspace: Backend.Workspace
    /// The same for blocks that a stage has frozen; nil if there are none.
    private var frozenWorkspace: Backend.Workspace?
    /// What blocks write down for the engine.
    private(set) var buffers: StepBuffers
    /// Which gradients and parameters sweeps are over; see ``Sweep/gradientVersion``.
    private var gradientVersion = 0
    /// For each pass over whole tensors, the tensors.
    private(set) var tensorsOfPasses: [WholeTensors<Backend>]
    /// The tensors that are handed out whole in the last sweep: at once, and one after another.
    private(set) var tensorsOfLastSweep: [WholeTensors<Backend>]

    /// Makes memory.
    ///
    /// - Parameters:
    ///   - backend: Who runs sweeps.
    ///   - layout: The parameters.
    ///   - isFrozen: For each parameter, whether it takes no part.
    ///   - slots: Which slots there are.
    ///   - plan: What is measured.
    ///   - whole: Which tensors are handed out whole.
    ///   - division: Which rows this process works on; nil for all.
    ///   - parameterCopy: How to store a copy of the parameters; nil keeps none.
    ///   - adopted: For each slot, the tensors that it goes on with; nil where it begins with zeros.
    ///   - isAlike: Whether two parameters are updated alike, given the same rates.
    /// - Throws: ``DescentError`` if what passes keep is more than memory can hold.
    init(
        _ backend: Backend, _ layout: ParameterLayout, isFrozen: [Bool], _ slots: SlotTable, _ plan: Plan,
        _ whole: WholeTensorPlan, _ division: RowDivision?, parameterCopy: ElementType?,
        adopting adopted: [Backend.Tensors?] = [],
        where isAlike: (Int, Int) -> Bool = { _, _ in false }
    ) throws(DescentError) {
        design = try SweepDesign(backend, layout, isFrozen: isFrozen, slots, plan, whole, division, where: isAlike)
        func makeSlot(_ slot: Int) -> Backend.Tensors {
            slots.origins.isEmpty
                ? backend.makeTensors(slots.layouts[slot], slots.types[slot])
                : backend.makeTensors(slots.layouts[slot], slots.types[slot], startingAt: slots.origins[slot])
        }
        var memory = slots.names.indices.map { index in
            (index < adopted.count ? adopted[index] : nil) ?? makeSlot(index)
        }
        let isHeld = { (parameter: Int) in division.map { !$0.own[parameter].isEmpty } ?? true }
        var shapes = slots.shapes
        for pass in whole.passes {
            let isUsed = layout.indices.map { pass.isChosen[$0] && isHeld($0) }
            memory.append(backend.makeTensors(try Slot.layout(.parameter, of: layout, isUsed: isUsed), .float32))
            memory += pass.slots.map(makeSlot)
            shapes += [.parameter] + pass.slots.map { slots.shapes[$0] }
        }
        self.slots = memory
        slotShapes = shapes
        tensorsOfPasses = whole.tensorsOfPasses(of: layout, where: isHeld, on: backend)
        tensorsOfLastSweep = whole.tensorsOfLastSweep(of: layout, where: isHeld, on: backend)
        parameterCopies = parameterCopy.map { [backend.makeTensors(layout, $0)] } ?? []
        workspace = backend.makeWorkspace(for: layout, blocks: design.blocks)
        frozenWorkspace =
            design.frozenBlocks.isEmpty ? nil : backend.makeWorkspace(for: layout, blocks: design.frozenBlocks)
        buffers = StepBuffers(statisticCount: plan.statistics.count, blockCount: design.blocks.count)
    }

    /// Whether a stage has frozen parameters that have elements.
    @inline(__always) var hasFrozen: Bool { frozenWorkspace != nil }
    /// Who runs the sweeps.
    @inline(__always) var backend: Backend { design.backend }
    /// The blocks of parameters that take part.
    @inline(__always) var blocks: [BlockExtent] { design.blocks }
    /// For each parameter, its blocks.
    @inline(__always) var blockRanges: [Range<Int>] { design.blockRanges }
    /// How many rows backends may keep something of from one sweep to the next.
    var keptRowCount: Int { design.keptRowCount }
    /// For each block, the positions of those that it may be handed out with as one; empty if none are joined.
    @inline(__always) var neighbours: [Range<Int>] { design.neighbours }
    /// For each parameter, whether it is handed out whole in the last sweep; empty if none is.
    @inline(__always) var isWholeInLastSweep: [Bool] { design.isWholeInLastSweep }
    /// The parameters after the last applied step, in another element type; nil if none are kept.
    var parameterCopy: Backend.Tensors? { parameterCopies.first }

    /// Goes on with the copy of the parameters that another runner has kept.
    mutating func keepParameterCopy(of other: SweepRunner) { parameterCopies = other.parameterCopies }

    /// Makes sure that no copy of this runner sees what this one writes.
    @inline(__always) mutating func makeUnique() {
        for index in 0..<slots.count { slots[index].makeUnique() }
        for index in 0..<parameterCopies.count { parameterCopies[index].makeUnique() }
        if !isKnownUniquelyReferenced(&workspace) {
            workspace = backend.makeWorkspace(for: design.layout, blocks: blocks)
        }
        if frozenWorkspace != nil, !isKnownUniquelyReferenced(&frozenWorkspace) {
            frozenWorkspace = backend.makeWorkspace(for: design.layout, blocks: design.frozenBlocks)
        }
        if !isKnownUniquelyReferenced(&buffers) { buffers = buffers.copy() }
        if design.hasWholeTensors { makeWholeTensorsUnique() }
    }

    private mutating func makeWholeTensorsUnique() {
        for index in 0..<tensorsOfPasses.count { tensorsOfPasses[index].makeUnique(on: backend) }
        for index in 0..<tensorsOfLastSweep.count { tensorsOfLastSweep[index].makeUnique(on: backend) }
    }

    /// Where the window's sum is, once a micro-batch has become part of it.
    var windowSlot: Int? { design.sumSlot ?? receivedSlot }

    /// The slot for gradients that nothing else has a place for; made when it is first needed.
    @discardableResult mutating func makeReceivedSlot() -> Int {
        if let receivedSlot { return receivedSlot }
        let slot = slots.count
        receivedSlot = slot
        slots.append(makeGradients())
        slotShapes.append(.parameter)
        return slot
    }

    /// The slot for a window's sum beside the one that lasts, while processes exchange it; made when it is first needed.
    mutating func makeExchangeSlot() -> Int {
        if let exchangeSlot { return exchangeSlot }
        let slot = slots.count
        exchangeSlot = slot
        slots.append(design.sumSlot.map { backend.makeTensors(slots[$0].layout, .float32) } ?? makeGradients())
        slotShapes.append(.parameter)
        return slot
    }

    /// Room for the gradients that this process works on.
    private func makeGradients() -> Backend.Tensors {
        guard let own = design.ownGradients else { return backend.makeTensors(design.layout, .float32) }
        return backend.makeTensors(own.layout, .float32, startingAt: own.origins)
    }

    /// Has every process have all rows of the copy of the parameters.
    mutating func gatherParameterCopy(over exchange: inout any GradientExchange) throws(DescentError) {
        for index in parameterCopies.indices { try exchange.gatherRows(of: &parameterCopies[index]) }
    }

    /// The first parameter, in the order of the layout, in one of whose blocks the last sweep found something.
    func firstFlagged(_ flag: StepBuffers.Flags) -> Int? {
        buffers.firstBlock(with: flag).map { blocks[$0].parameterIndex }
    }

    // MARK: Sweeps

    /// Has backends forget what they keep of rows, because the next sweep is over other gradients or parameters.
    mutating func forgetRows() { gradientVersion += 1 }

    /// Runs a sweep over all blocks, or over some.
    @inline(__always) func run(
        _ work: borrowing BlockWork, _ program: SweepProgram, _ tensors: StepTensors<Backend.Tensors>,
        appliedSteps: Int, over range: Range<Int>? = nil, joining neighbours: [Range<Int>] = []
    ) {
        backend.run(
            work, outline(program, appliedSteps, range, joining: neighbours), tensors, slots: slots,
            parameterCopies: parameterCopies, in: workspace)
    }

    /// Runs a pass, or the last sweep, over whole tensors.
    ///
    /// What a tensor's block writes down counts as that of its first block of rows.
    ///
    /// - Parameters:
    ///   - work: What is done to each tensor.
    ///   - program: What it is part of.
    ///   - tensors: The tensors of the step.
    ///   - appliedSteps: The number of steps applied before.
    ///   - whole: Which tensors are handed out.
    ///   - isOwn: For each parameter, whether this process works on it; nil for all.
    func run(
        _ work: borrowing BlockWork, _ program: SweepProgram, _ tensors: StepTensors<Backend.Tensors>,
        appliedSteps: Int, overWhole whole: WholeTensors<Backend>, where isOwn: [Bool]? = nil
    ) {
        var sweep = sweep(program, tensors, appliedSteps)
        sweep.blocks = whole.blocks
        sweep.gradientVersion = nil
        sweep.handsWholeTensors = true
        let indices = whole.blocks.indices
        let isInTurn = whole.isInTurn || isOwn != nil
        for first in isInTurn ? indices : indices.prefix(1) {
            if let isOwn, !isOwn[whole.blocks[first].parameterIndex] { continue }
            sweep.range = isInTurn ? first..<first + 1 : indices
            backend.run(sweep, in: whole.workspace) { block, _ in
                let blocks = blockRanges[block.parameterIndex]
                for index in blocks { buffers.flags[index] = [] }
                work.run(on: &block, at: blocks.lowerBound)
            }
        }
    }

    /// Gives the slots beside those of a pass's station the contents that they are to change.
    mutating func copySlots(of pass: TensorPass) throws(DescentError) {
        for (offset, slot) in pass.slots.enumerated() {
            try slots[slot].copyContents(into: &slots[pass.firstShadow + offset])
        }
    }

    /// Has what passes have made of slots last.
    mutating func keepSlots(of passes: [TensorPass]) {
        for pass in passes {
            for (offset, slot) in pass.slots.enumerated() { exchangeSlots(slot, pass.firstShadow + offset) }
        }
    }

    /// Has two slots change places; `swapAt` of an array that it knows nothing of would ask for memory.
    mutating func exchangeSlots(_ first: Int, _ second: Int) {
        let tensors = slots[first]
        slots[first] = slots[second]
        slots[second] = tensors
    }

    /// Runs a body over the parameters that a stage has frozen, which no other sweep reaches.
    ///
    /// - Parameters:
    ///   - tensors: What blocks hold: parameters, or gradients.
    ///   - output: Where blocks are stored, if they are.
    ///   - body: What is done to each block.
    func runFrozen(
        _ tensors: Backend.Tensors, output: Backend.Tensors? = nil, _ body: @Sendable (inout Backend.Block) -> Void
    ) {
        guard let frozenWorkspace else { return }
        var sweep = Sweep(
            gradients: tensors, parameters: output == nil ? tensors : nil, output: output,
            parameterCopy: parameterCopy, slots: slots, slotShapes: slotShapes, blocks: design.frozenBlocks)
        sweep.onlyReadsParameters = true
        backend.run(sweep, in: frozenWorkspace) { block, _ in body(&block) }
    }

    /// Copies the parameters that a stage has frozen to where the others have been updated.
    func copyFrozen(_ parameters: Backend.Tensors, to updated: Backend.Tensors) {
        guard let frozenWorkspace else { return }
        var sweep = Sweep(gradients: parameters, parameters: parameters, blocks: design.frozenBlocks)
        sweep.updatedParameters = updated
        backend.run(sweep, in: frozenWorkspace) { _, _ in }
    }

    /// Runs a body over the blocks of one parameter, whose gradient it does not read.
    func run(over parameter: Int, _ parameters: Backend.Tensors, _ body: @Sendable (inout Backend.Block) -> Void) {
        var sweep = Sweep(
            gradients: parameters, parameters: parameters, parameterCopy: parameterCopy, slots: slots,
            slotShapes: slotShapes, blocks: blocks, range: blockRanges[parameter])
        if let mastersSlot = design.mastersSlot { sweep.masterParameters = slots[mastersSlot] }
        sweep.onlyReadsParameters = true
        backend.run(sweep, in: workspace) { block, _ in body(&block) }
    }

    /// Counts what is not finite in one parameter's gradient, or in the window's sum of it.
    func countNonFinite(
        _ parameter: Int, _ work: borrowing BlockWork, _ program: SweepProgram, _ tensors: StepTensors<Backend.Tensors>
    ) -> (nan: Int, infinite: Int) {
        let nan = Atomic(0)
        let infinite = Atomic(0)
        backend.run(sweep(program, tensors, 0, over: blockRanges[parameter]), in: workspace) { block, index in
            if program.addition != nil { work.makeWindow(&block, at: index) }
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

    private func sweep(
        _ program: SweepProgram, _ tensors: StepTensors<Backend.Tensors>, _ appliedSteps: Int,
        over range: Range<Int>? = nil
    ) -> Sweep<Backend.Tensors> {
        Sweep(
            outline(program, appliedSteps, range), tensors, slots: slots, parameterCopies: parameterCopies)
    }

    @inline(__always) private func outline(
        _ program: SweepProgram, _ appliedSteps: Int, _ range: Range<Int>?, joining neighbours: [Range<Int>] = []
    ) -> SweepOutline {
        let readsWindow = program.windowFactor != nil && program.addition == nil
        return SweepOutline(
            source: readsWindow ? windowSlot : nil, masters: design.mastersSlot, updates: program.updates,
            slotShapes: slotShapes, appliedSteps: appliedSteps,
            gradientVersion: design.keptRowCount > 0 ? gradientVersion : nil, blocks: blocks, neighbours: neighbours,
            range: range, runsBackwards: program.runsBackwards)
    }
}
