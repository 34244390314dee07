/// What a runner of sweeps is from the day that it is made: who runs them, and over which blocks; shared by all copies.
final class SweepDesign<Backend: TensorBackend>: Sendable {
    let layout: ParameterLayout
    let blocks: [BlockExtent]
    let frozenBlocks: [BlockExtent]
    let blockRanges: [Range<Int>]
    /// How many rows backends may keep something of from one sweep to the next; 0 where no sweep needs it.
    let keptRowCount: Int
    let neighbours: [Range<Int>]
    let isWholeInLastSweep: [Bool]
    /// Whether tensors are handed out whole, in passes or in the last sweep.
    let hasWholeTensors: Bool
    let sumSlot: Int?
    let mastersSlot: Int?
    /// What this process has of gradients, where others have the rest; nil where it has all.
    let ownGradients: (layout: ParameterLayout, origins: [Int])?
    let backend: Backend

    init(
        _ backend: Backend, _ layout: ParameterLayout, isFrozen: [Bool], _ slots: SlotTable, _ plan: Plan,
        _ whole: WholeTensorPlan, _ division: RowDivision?, where isAlike: (Int, Int) -> Bool
    ) throws(DescentError) {
        (self.backend, self.layout) = (backend, layout)
        ownGradients = try division?.part(of: layout, .parameter, of: layout, rank: division?.rank ?? 0)
        let all = division.map { $0.cut(backend.blocks(of: layout), of: layout) } ?? backend.blocks(of: layout)
        blocks = all.filter { !isFrozen[$0.parameterIndex] && division?.holds($0) ?? true }
        frozenBlocks = all.filter { isFrozen[$0.parameterIndex] }
        var ranges = layout.map { _ in 0..<0 }
        for (index, block) in blocks.enumerated() {
            let range = ranges[block.parameterIndex]
            ranges[block.parameterIndex] = (range.isEmpty ? index : range.lowerBound)..<index + 1
        }
        blockRanges = ranges
        neighbours = backend.neighbours(among: blocks, of: layout, where: isAlike)
        let rowCounts = layout.indices.map { index in
            layout[index].rank > 1 ? division?.own[index].count ?? layout[index].rowCount : 0
        }
        keptRowCount = plan.keepsRows ? rowCounts.reduce(0, +) : 0
        isWholeInLastSweep = whole.isWholeInLastSweep
        hasWholeTensors = !whole.passes.isEmpty || !whole.isWholeInLastSweep.isEmpty
        (sumSlot, mastersSlot) = (slots.ofWindow, slots.ofMasters)
    }
}
