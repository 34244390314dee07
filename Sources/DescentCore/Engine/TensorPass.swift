/// A pass over whole tensors, and where it leaves what it makes until the step is certain.
struct TensorPass: Sendable {
    /// Who works on whole tensors.
    let station: Int
    /// For each parameter, whether it is handed out.
    let isChosen: [Bool]
    /// The slot of the result.
    let result: Int
    /// The station's slots that last.
    let slots: Range<Int>
    /// The first of as many slots beside them, which take their place once the step is certain.
    let firstShadow: Int
}

extension TensorPass {
    /// Finds room for the passes of a plan.
    ///
    /// - Parameters:
    ///   - plan: The plan.
    ///   - selections: For each station, the parameters that it works on.
    ///   - slots: The slots that last; results and shadows come behind them.
    /// - Returns: The passes, in the order of the plan.
    static func passes(of plan: Plan, _ selections: [[Bool]], _ slots: SlotTable) -> [TensorPass] {
        var next = slots.names.count
        return plan.passes.map { pass in
            let own = slots.ofStations[pass.station]
            defer { next += 1 + own.count }
            return TensorPass(
                station: pass.station, isChosen: selections[pass.station], result: next, slots: own,
                firstShadow: next + 1)
        }
    }
}

/// Tensors that are handed out whole: in a pass, or in the last sweep.
struct WholeTensors<Backend: TensorBackend>: Sendable {
    /// A block for each tensor, with all of its rows.
    let blocks: [BlockExtent]
    /// Whether they are handed out one after another on the caller's thread.
    let isInTurn: Bool
    private let layout: ParameterLayout
    private let scratchCount: Int
    private(set) var workspace: Backend.Workspace

    /// Makes ready to hand out some tensors.
    ///
    /// - Parameters:
    ///   - isChosen: For each parameter, whether it is among them.
    ///   - layout: The parameters.
    ///   - isInTurn: Whether they are handed out one after another.
    ///   - scratchCount: How many floats of scratch each thread has to have.
    ///   - backend: Who hands them out.
    init(_ isChosen: [Bool], of layout: ParameterLayout, isInTurn: Bool, scratchCount: Int, on backend: Backend) {
        blocks = layout.indices.filter { isChosen[$0] && layout[$0].count > 0 }
            .map { BlockExtent(parameterIndex: $0, rows: 0..<layout[$0].rowCount, firstRow: 0) }
        self.layout = layout
        self.isInTurn = isInTurn
        self.scratchCount = scratchCount
        workspace = backend.makeWorkspace(for: layout, tensors: blocks, scratchCount: scratchCount)
    }

    /// Makes sure that no copy uses the same workspace.
    mutating func makeUnique(on backend: Backend) {
        guard !isKnownUniquelyReferenced(&workspace) else { return }
        workspace = backend.makeWorkspace(for: layout, tensors: blocks, scratchCount: scratchCount)
    }

    /// How many bytes of scratch there are for each thread, what the stage asks for and a copy of the largest tensor.
    var scratchBytes: Int { 4 * (scratchCount + (blocks.map { layout[$0.parameterIndex].count }.max() ?? 0)) }
}
