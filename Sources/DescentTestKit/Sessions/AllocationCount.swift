import CAllocationProbe

/// How often this thread has asked for memory.
enum AllocationCount {
    /// The number; nil where it cannot be told.
    static var current: Int? {
        let count = Int(descent_probe_allocation_count())
        return count < 0 ? nil : count
    }
}
