import DescentCore

/// New arrays for results, of which those that a step has not written are kept for the next one.
struct BlankArrays {
    private var spare: LentArrays?

    /// Arrays of the shapes and types of others, which share memory with none.
    mutating func take(for arrays: LentArrays) throws(DescentError) -> LentArrays {
        defer { spare = nil }
        if let spare, spare.isAlike(arrays) { return spare }
        return try arrays.makeBlank()
    }

    /// Keeps arrays that nobody else has been handed.
    mutating func keep(_ arrays: LentArrays) { spare = arrays }
}
