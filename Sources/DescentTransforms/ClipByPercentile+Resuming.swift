import DescentCore

extension ClipByPercentile {
    /// Refuses a history that cannot be one of this stage's, and puts one that may grow in order of age.
    mutating func resumeHistory() throws(DescentError) {
        let count = state.history.count
        try DescentError.requireState(
            count <= historyLength, name, "its history has \(count) norms, more than the \(historyLength) that it keeps"
        )
        try DescentError.requireState(
            state.history.allSatisfy { $0.isFinite && $0 >= 0 }, name,
            "its history has norms that are negative or not finite")
        try DescentError.requireState(
            state.next >= 0 && state.next < max(count, 1), name,
            "its history has \(count) norms, and the oldest of them is said to be number \(state.next)")
        // A history that was full may have become longer: the oldest norm comes first as long as there is room.
        guard count < historyLength, state.next > 0 else { return }
        state.history = Array(state.history[state.next...] + state.history[..<state.next])
        state.next = 0
    }
}
