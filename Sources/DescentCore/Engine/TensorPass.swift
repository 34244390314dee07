/// A pass over whole tensors, and where it leaves what it makes until the step is certain.
@usableFromInline struct TensorPass: Sendable {
    /// Who works on whole tensors.
    @usableFromInline let station: Int
    /// For each parameter, whether it is handed out.
    @usableFromInline let isChosen: [Bool]
    /// The slot of the result.
    @usableFromInline let result: Int
    /// The station's slots that last.
    let slots: Range<Int>
    /// The first of as many slots beside them, which take their place once the step is certain.
    @usableFromInline let firstShadow: Int
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
