import AllocationCounter

/// What a thread has asked for in the way of memory.
struct AllocationCount {
    /// Below so many bytes, an allocation may come of a program not being optimized: of a value in a box, say.
    private static let boxLimit = 1_024

    private let count: Int
    private let largest: Int

    /// Whether that can be told here.
    static var areCounted: Bool { descent_allocation_count() >= 0 }

    /// What a body allocates.
    init(of body: () throws -> Void) rethrows {
        _ = descent_take_largest_allocation()
        let before = descent_allocation_count()
        try body()
        count = Int(descent_allocation_count() - before)
        largest = Int(descent_take_largest_allocation())
    }

    /// What is wrong with them, where there ought to be none.
    var complaint: String? {
        #if DEBUG
            largest < Self.boxLimit ? nil : "\(largest) bytes at once"
        #else
            count == 0 ? nil : "\(count) allocation\(count == 1 ? "" : "s")"
        #endif
    }
}
