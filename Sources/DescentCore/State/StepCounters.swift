/// How many steps a pipeline or a chain has taken, and how many it has skipped.
public struct StepCounters: Sendable, Hashable, Codable {
    /// How many steps have been applied.
    public private(set) var appliedSteps: Int
    /// How many steps have been skipped.
    public private(set) var skippedSteps: Int
    /// How many steps in a row have been skipped, up to the last, because something was not finite.
    public private(set) var consecutiveSkips: Int

    /// The third has kept the name that it had in the first version of the checkpoint format.
    private enum CodingKeys: String, CodingKey {
        case appliedSteps, skippedSteps
        case consecutiveSkips = "nonFiniteInARow"
    }

    /// Counts as they stand; all 0 by default.
    public init(appliedSteps: Int = 0, skippedSteps: Int = 0, consecutiveSkips: Int = 0) {
        self.appliedSteps = appliedSteps
        self.skippedSteps = skippedSteps
        self.consecutiveSkips = consecutiveSkips
    }

    /// Counts a step that was taken.
    mutating func noteUpdate() {
        appliedSteps += 1
        consecutiveSkips = 0
    }

    /// Counts a step that was skipped; one for a veto or an empty window neither adds to those in a row nor ends them.
    mutating func noteSkip(isNonFinite: Bool) {
        skippedSteps += 1
        if isNonFinite { consecutiveSkips += 1 }
    }

    /// Refuses counts that no run can have reached.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch`.
    func requireValid() throws(DescentError) {
        for (name, count) in [
            ("appliedSteps", appliedSteps), ("skippedSteps", skippedSteps), ("consecutiveSkips", consecutiveSkips),
        ] {
            guard (0...Int.largestCount).contains(count) else {
                throw DescentError(.stateMismatch, "What was saved cannot be resumed: \(name) is \(count).")
            }
        }
        guard consecutiveSkips <= skippedSteps else {
            throw DescentError(
                .stateMismatch,
                "What was saved cannot be resumed: of \(skippedSteps) skipped steps, \(consecutiveSkips) came in a row."
            )
        }
    }
}
