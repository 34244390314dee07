/// Which stations are handed whole tensors, of which parameters, and when.
struct WholeTensorPlan {
    /// The passes, in the order of the plan.
    let passes: [TensorPass]
    /// For each pass, whether tensors are handed out one after another.
    private let isPassInTurn: [Bool]
    /// For each parameter, whether it is handed out whole in the last sweep; empty if none is.
    let isWholeInLastSweep: [Bool]
    /// For each parameter, whether it is handed out there one after another.
    private let isInTurn: [Bool]
    /// How many floats of scratch the station asks for that asks for most.
    private let scratchCount: Int
    /// For each parameter, whether a station is handed it whole; empty if none is.
    let isNeededWhole: [Bool]

    /// Finds out what a plan hands out whole.
    ///
    /// - Parameters:
    ///   - plan: The plan.
    ///   - parts: Transforms and optimizers, configured.
    ///   - stations: What stands on the way, in order.
    ///   - layout: The parameters.
    ///   - owners: Which branch moves each parameter.
    ///   - isFrozen: For each parameter, whether a stage has frozen it, so that nobody is handed it.
    ///   - slots: The slots that last.
    init(
        _ plan: Plan, _ parts: EngineParts, _ stations: [Station], _ layout: ParameterLayout, _ owners: ParameterOwners,
        isFrozen: [Bool], _ slots: SlotTable
    ) {
        var (selections, scratchCounts): ([[Bool]], [Int]) = ([], [])
        for station in stations {
            let isOwned = station.branch.map { owners.isOwned(by: $0) } ?? isFrozen.map { !$0 }
            var restriction: ParameterSelection?
            var scratchCount: (ParameterDescription) -> Int
            switch station.kind {
            case .transform(let index):
                restriction = parts.transforms[index].restriction
                scratchCount = { parts.transforms[index].scratchCount(for: $0) }
            case .optimizer(let branch): scratchCount = { parts.optimizers[branch].scratchCount(for: $0) }
            }
            let isChosen = layout.indices.map { isOwned[$0] && restriction?.contains(layout[$0]) ?? true }
            selections.append(isChosen)
            let chosen = layout.indices.filter { isChosen[$0] }
            scratchCounts.append(station.reach.isWholeTensors ? chosen.map { scratchCount(layout[$0]) }.max() ?? 0 : 0)
        }
        scratchCount = scratchCounts.max() ?? 0
        let whole = zip(stations, selections).filter { $0.0.reach.isWholeTensors }.map(\.1)
        isNeededWhole = whole.isEmpty ? [] : layout.indices.map { index in whole.contains { $0[index] } }
        passes = TensorPass.passes(of: plan, selections, slots)
        isPassInTurn = passes.map { stations[$0.station].reach.isInTurn }
        let last = plan.wholeInLastSweep
        isWholeInLastSweep =
            last.isEmpty ? [] : layout.indices.map { index in last.contains { selections[$0][index] } }
        // What one station takes one after another, no other is handed at once.
        isInTurn = layout.indices.map { index in
            last.contains { selections[$0][index] && stations[$0].reach.isInTurn }
        }
    }

    /// For each pass, the tensors.
    func tensorsOfPasses<Backend: TensorBackend>(
        of layout: ParameterLayout, where isHeld: (Int) -> Bool, on backend: Backend
    ) -> [WholeTensors<Backend>] {
        zip(passes, isPassInTurn).map { pass, isInTurn in
            let isChosen = layout.indices.map { pass.isChosen[$0] && isHeld($0) }
            return WholeTensors(isChosen, of: layout, isInTurn: isInTurn, scratchCount: scratchCount, on: backend)
        }
    }

    /// The tensors of the last sweep: those that are handed out at once, and those one after another.
    func tensorsOfLastSweep<Backend: TensorBackend>(
        of layout: ParameterLayout, where isHeld: (Int) -> Bool, on backend: Backend
    ) -> [WholeTensors<Backend>] {
        guard !isWholeInLastSweep.isEmpty else { return [] }
        return [false, true].compactMap { turn in
            let isChosen = layout.indices.map { isWholeInLastSweep[$0] && isInTurn[$0] == turn && isHeld($0) }
            guard isChosen.contains(true) else { return nil }
            return WholeTensors(isChosen, of: layout, isInTurn: turn, scratchCount: scratchCount, on: backend)
        }
    }
}

extension TensorStorage {
    /// Copies the elements of tensors to those of another set that have as many, of the same element type.
    func copyContents(into other: inout Self) throws(DescentError) {
        for position in layout.indices where layout[position].count > 0 {
            guard other.layout[position].count == layout[position].count else { continue }
            try withBytes(of: position) { source throws(DescentError) in
                try other.withMutableBytes(of: position) { $0.copyMemory(from: source) }
            }
        }
    }
}
