extension PipelineState {
    /// Refuses counters that no run can have reached, and buffers of other tensors than the layout's.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch`, or one that names the tensor of a buffer that differs.
    func requireValid() throws(DescentError) {
        try counters.requireValid()
        for component in components {
            for slot in component.slots {
                try layout.requireMatch(
                    of: slot.tensors.layout, as: "buffers \(slot.name.quotedBriefly) of \(component.name)")
            }
        }
    }
}
