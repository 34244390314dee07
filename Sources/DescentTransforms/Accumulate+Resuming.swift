import DescentCore

extension Accumulate {
    /// Refuses an open window that cannot be one of this stage's.
    func requireValidState() throws(DescentError) {
        let (received, included) = (state.received, state.included)
        try DescentError.requireState(
            received >= 0 && received < max(steps, 1), name,
            "the open window holds \(received) micro-batches, and one of \(steps) is open with up to \(steps - 1). If "
                + "its length has changed, save when no window is open")
        try DescentError.requireState(
            (0...received).contains(included), name,
            "\(included) of the \(received) micro-batches of the open window are part of it")
        try DescentError.requireState(
            included == received || state.rejection != nil, name,
            "\(received - included) micro-batches of the open window were left out, and no reason is given")
        try DescentError.requireState(
            state.weights.isFinite && state.weights >= 0 && (included > 0 || state.weights == 0), name,
            "the weights of \(included) micro-batches add up to \(state.weights)")
        try DescentError.requireState(
            state.lastWeight.isFinite && state.lastWeight >= 0, name,
            "the last micro-batch weighs \(state.lastWeight)")
    }
}
