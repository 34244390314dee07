/// How many steps a pipeline or a chain has taken, and how many it has skipped.
public struct StepCounters: Sendable, Hashable, Codable {
    /// How many steps have been applied.
    public private(set) var appliedSteps: Int
    /// How many steps have been skipped.
    public private(set) var skippedSteps: Int
    /// How many steps in a row have been skipped, up to the last, because something was not finite.
    public private(set) var consecutiveSkips: Int
    /// For each parameter, in how many applied steps it took no part because it had no gradient; empty if all took part
    /// in all.
    public private(set) var missedSteps: [Int]

    /// The third has kept the name that it had in the first version of the checkpoint format.
    private enum CodingKeys: String, CodingKey {
        case appliedSteps, skippedSteps, missedSteps
        case consecutiveSkips = "nonFiniteInARow"
    }

    /// Counts as they stand; all 0 by default.
    public init(appliedSteps: Int = 0, skippedSteps: Int = 0, consecutiveSkips: Int = 0, missedSteps: [Int] = []) {
        self.missedSteps = missedSteps
        self.appliedSteps = appliedSteps
        self.skippedSteps = skippedSteps
        self.consecutiveSkips = consecutiveSkips
    }

    /// Reads counts; where none are missed, all parameters took part in all steps.
    public init(from decoder: any Decoder) throws {
        let counts = try decoder.container(keyedBy: CodingKeys.self)
        appliedSteps = try counts.decode(Int.self, forKey: .appliedSteps)
        skippedSteps = try counts.decode(Int.self, forKey: .skippedSteps)
        consecutiveSkips = try counts.decode(Int.self, forKey: .consecutiveSkips)
        missedSteps = try counts.decodeIfPresent([Int].self, forKey: .missedSteps) ?? []
    }

    /// Writes the counts; those of missed steps where there are some.
    public func encode(to encoder: any Encoder) throws {
        var counts = encoder.container(keyedBy: CodingKeys.self)
        try counts.encode(appliedSteps, forKey: .appliedSteps)
        try counts.encode(skippedSteps, forKey: .skippedSteps)
        try counts.encode(consecutiveSkips, forKey: .consecutiveSkips)
        if !missedSteps.isEmpty { try counts.encode(missedSteps, forKey: .missedSteps) }
    }

    /// Counts a step that was taken.
    ///
    /// - Parameter isLeftOut: For each parameter, whether it took no part; empty if all did.
    mutating func noteUpdate(leavingOut isLeftOut: [Bool] = []) {
        appliedSteps += 1
        consecutiveSkips = 0
        guard !isLeftOut.isEmpty else { return }
        if missedSteps.isEmpty { missedSteps = [Int](repeating: 0, count: isLeftOut.count) }
        for parameter in isLeftOut.indices where isLeftOut[parameter] { missedSteps[parameter] += 1 }
    }

    /// Whether a parameter has been updated.
    func hasUpdated(_ parameter: Int) -> Bool {
        missedSteps.isEmpty ? appliedSteps > 0 : missedSteps[parameter] < appliedSteps
    }

    /// Notes that some parameters have had no update.
    mutating func noteNewcomers(_ isNew: [Bool]) {
        guard isNew.contains(true) else { return }
        if missedSteps.isEmpty { missedSteps = [Int](repeating: 0, count: isNew.count) }
        for parameter in isNew.indices where isNew[parameter] { missedSteps[parameter] = appliedSteps }
    }

    /// Counts a step that was skipped; one for a veto or an empty window neither adds to those in a row nor ends them.
    mutating func noteSkip(isNonFinite: Bool) {
        skippedSteps += 1
        if isNonFinite { consecutiveSkips += 1 }
    }

    /// Refuses counts that no run can have reached.
    ///
    /// - Parameter layout: The parameters.
    /// - Throws: ``DescentError`` with code `stateMismatch`.
    func requireValid(for layout: ParameterLayout) throws(DescentError) {
        for (name, count) in [
            ("appliedSteps", appliedSteps), ("skippedSteps", skippedSteps), ("consecutiveSkips", consecutiveSkips),
        ] {
            guard (0...Int.largestCount).contains(count) else {
                throw DescentError(.stateMismatch, "What was saved cannot be resumed: \(name) is \(count).")
            }
        }
        guard missedSteps.isEmpty || missedSteps.count == layout.count else {
            throw DescentError(
                .stateMismatch,
                "What was saved cannot be resumed: missedSteps are \(missedSteps.count) numbers, of \(layout.count) "
                    + "parameters.")
        }
        if let parameter = missedSteps.firstIndex(where: { !(0...appliedSteps).contains($0) }) {
            throw DescentError(
                .stateMismatch, parameter: layout[parameter].name,
                "What was saved cannot be resumed: \(layout[parameter].name.quotedBriefly) missed \(missedSteps[parameter]) of "
                    + "\(appliedSteps) steps.")
        }
        guard consecutiveSkips <= skippedSteps else {
            throw DescentError(
                .stateMismatch,
                "What was saved cannot be resumed: of \(skippedSteps) skipped steps, \(consecutiveSkips) came in a row."
            )
        }
    }
}
