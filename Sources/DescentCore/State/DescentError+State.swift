extension DescentError {
    /// Refuses a resumed state that no run can have left.
    ///
    /// A stage calls it in `configure(for:)`, where a resumed state is set already: a file may have been edited, or
    /// saved with other settings. With ``ResumptionPolicy/matchingStages`` a stage that refuses its state starts afresh.
    /// ```swift
    /// try DescentError.requireState(state.count >= 0, name, "it counts \(state.count) steps")
    /// ```
    ///
    /// - Parameters:
    ///   - condition: What holds for every state that a run can leave.
    ///   - stage: The stage's name.
    ///   - message: What is wrong, as the end of a sentence, without a full stop.
    /// - Throws: ``DescentError`` with code `stateMismatch` that names the stage.
    public static func requireState(
        _ condition: Bool, _ stage: String, _ message: @autoclosure () -> String
    ) throws(DescentError) {
        guard !condition else { return }
        throw DescentError(.stateMismatch, stage: stage, "\(stage): what was saved cannot be resumed: \(message()).")
    }
}

extension Int {
    /// More steps than any run takes, and as many as a `Double` can count: what a counter in a saved state may say.
    package static let largestCount = 1 << 53
}
