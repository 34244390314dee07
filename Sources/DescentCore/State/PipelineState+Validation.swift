extension PipelineState {
    /// Refuses counters that no run can have reached, and buffers of other tensors than the layout's.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch`, or one that names the tensor of a buffer that differs.
    func requireValid() throws(DescentError) {
        try counters.requireValid(for: layout)
        for component in components {
            for slot in component.slots {
                guard let index = slot.firstMismatch(in: layout, division) else { continue }
                let role = "buffers \(slot.name.quotedBriefly) of \(component.name)"
                try layout.requireMatch(of: slot.whole, as: role)
                throw DescentError(
                    .shapeMismatch, parameter: layout[index].name,
                    "The \(role) hold \(slot.tensors.layout[index].count) numbers of \(layout[index].name.quotedBriefly), which "
                        + "are not one for each \(slot.shape.rawValue).")
            }
        }
    }

    /// Refuses rows of another process, or of another number of processes.
    ///
    /// - Parameter division: Which rows are needed; nil for all.
    /// - Throws: ``DescentError`` with code `stateMismatch`.
    func requireRows(of division: RowDivision?) throws(DescentError) {
        guard let own = self.division, own != division else { return }
        func name(_ division: RowDivision?) -> String {
            division.map { ProcessRank($0.rank, of: $0.rankCount).description } ?? "a process that keeps all of them"
        }
        throw DescentError(
            .stateMismatch,
            "The state is that of the rows of \(name(own)), and this is \(name(division)). Save a checkpoint, which holds the "
                + "rows of all processes, and resume from that.")
    }
}
