import DescentCore

extension ClipByZScore {
    /// Refuses statistics that cannot be this stage's.
    func requireValidState() throws(DescentError) {
        // Norms beyond Float are not watched, so that no mean of them lies beyond it, and no variance beyond its square.
        let largest = Double(Float.greatestFiniteMagnitude)
        try DescentError.requireState(
            (0...largest).contains(state.mean) && (0...largest * largest).contains(state.variance), name,
            "norms have a mean of \(state.mean) and a variance of \(state.variance)")
        try DescentError.requireState(
            state.warmup.allSatisfy { $0.isFinite && $0 >= 0 }, name,
            "norms of the warm-up are negative or not finite")
        let count = state.warmup.count
        guard state.isWarm else {
            try DescentError.requireState(
                state.mean == 0 && state.variance == 0, name, "norms have a mean before the warm-up has ended")
            return try DescentError.requireState(
                count < max(warmup, 1), name, "the warm-up has \(count) norms and ends after \(warmup)")
        }
        try DescentError.requireState(count == 0, name, "the warm-up has ended and still keeps \(count) norms")
    }
}
