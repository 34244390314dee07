extension Engine {
    /// The plan, for people.
    var explanation: String {
        Explanation(
            plan: plan, configuration: configuration, layout: layout, elements: elements, stations: chain.stations,
            exchangeName: exchange?.name, division: design.division, optimizerNames: drivers.map(\.name),
            owners: owners, isFrozen: design.isFrozen,
            slots: slotTable, passes: passes.map(place), blockCount: sweeps.blocks.count,
            threadCount: sweeps.backend.threadCount, keptRowCount: sweeps.keptRowCount,
            scratchBytes: sweeps.backend.scratchBytes(sweeps.workspace)
        ).text
    }

    /// The chain in order, the optimizers, and how many steps there have been, in one line.
    var summary: String {
        let (applied, skipped) = (counters.appliedSteps, counters.skippedSteps)
        let steps = "\(applied) step\(applied == 1 ? "" : "s") applied, \(skipped) skipped"
        return "\(elements.flow(drivers.map(\.name))); \(steps)"
    }

    private func place(of pass: TensorPass) -> TensorPassPlace {
        let isOfAll = layout.indices.allSatisfy {
            pass.isChosen[$0] || owners.branches[$0] == nil || layout[$0].count == 0
        }
        return TensorPassPlace(
            chain.stations[pass.station].name, isOfAll: isOfAll && !drivers.isEmpty,
            elementCount: sweeps.slots[pass.result].layout.elementCount,
            slotBytes: pass.slots.reduce(0) { $0 + slotTable.types[$1].byteCount * slotTable.layouts[$1].elementCount })
    }
}
