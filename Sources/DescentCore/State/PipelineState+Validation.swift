extension PipelineState {
    /// Refuses counters that no run can have reached, and buffers of other tensors than the layout's.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch`, or one that names the tensor of a buffer that differs.
    func requireValid() throws(DescentError) {
        try counters.requireValid(for: layout)
        for component in components {
            for slot in component.slots {
                guard let index = slot.firstMismatch(in: layout) else { continue }
                let role = "buffers \(slot.name.quotedBriefly) of \(component.name)"
                try layout.requireMatch(of: slot.tensors.layout, as: role)
                throw DescentError(
                    .shapeMismatch, parameter: layout[index].name,
                    "The \(role) hold \(slot.tensors.layout[index].count) numbers of \(layout[index].name.quotedBriefly), which "
                        + "are not one for each \(slot.shape.rawValue).")
            }
        }
    }
}
