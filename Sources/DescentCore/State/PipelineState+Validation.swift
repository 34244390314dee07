extension PipelineState {
    /// Refuses counters that no run can have reached, and buffers of other tensors than the layout's.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch`, or one that names the tensor of a buffer that differs.
    func requireValid() throws(DescentError) {
        for (name, count) in [
            ("appliedSteps", appliedSteps), ("skippedSteps", skippedSteps), ("nonFiniteInARow", nonFiniteInARow),
        ] {
            guard (0...Int.largestCount).contains(count) else {
                throw DescentError(.stateMismatch, "What was saved cannot be resumed: \(name) is \(count).")
            }
        }
        guard nonFiniteInARow <= skippedSteps else {
            throw DescentError(
                .stateMismatch,
                "What was saved cannot be resumed: of \(skippedSteps) skipped steps, \(nonFiniteInARow) came in a row.")
        }
        for component in components {
            for slot in component.slots {
                try layout.requireMatch(
                    of: slot.tensors.layout, as: "buffers \(slot.name.quotedBriefly) of \(component.name)")
            }
        }
    }
}
