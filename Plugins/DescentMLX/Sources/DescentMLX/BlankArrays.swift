import DescentCore

/// New arrays for results, of which those that a step has not written are kept for the next one.
struct BlankArrays {
    private var spare: LentArrays?

    /// Arrays of the shapes and types of others, which share memory with none.
    ///
    /// A step that finds other types than the last one is refused, so that those of the last one fit.
    mutating func take(for arrays: LentArrays) throws(DescentError) -> LentArrays {
        defer { spare = nil }
        return if let spare { spare } else { try arrays.makeBlank() }
    }

    /// Keeps arrays that nobody else has been handed.
    mutating func keep(_ arrays: LentArrays) { spare = arrays }
}
