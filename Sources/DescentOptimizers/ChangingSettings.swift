import DescentCore

/// The settings of rules that change over time, and what a rule does with their values.
///
/// A setting that stays the same is not among them, and costs nothing in a step.
struct ChangingSettings<Rule: Sendable>: Sendable {
    private struct Change: Sendable {
        /// Which rule it concerns, in the order of `GroupedRules.updateEach`.
        let rule: Int
        let schedule: Schedule
        let setting: String
        let owner: String
        let range: SettingRange
        let apply: @Sendable (inout Rule, Double) -> Void
    }

    private var changes: [Change] = []
    private var ruleCount = 0

    /// Goes on to the next rule; called first of all as each is made.
    mutating func beginRule() { ruleCount += 1 }

    /// Checks a setting of the present rule, and keeps it if it changes.
    ///
    /// - Parameters:
    ///   - own: The number that a group gives instead; nil if it gives none.
    ///   - schedule: The optimizer's setting.
    ///   - setting: Its name.
    ///   - owner: Whose rule it is, for errors.
    ///   - range: Which values make sense.
    ///   - apply: Gives the rule a value.
    /// - Returns: The value in the first step, for the rule to be made with.
    /// - Throws: `DescentError` for a setting out of range.
    mutating func add(
        _ own: Double?, or schedule: Schedule, _ setting: String, of owner: String, in range: SettingRange,
        apply: @escaping @Sendable (inout Rule, Double) -> Void
    ) throws(DescentError) -> Double {
        let schedule = own.map { Schedule.constant($0) } ?? schedule
        try schedule.validate(setting, of: owner, in: range)
        if schedule.constant == nil {
            changes.append(
                Change(
                    rule: ruleCount - 1, schedule: schedule, setting: setting, owner: owner, range: range, apply: apply)
            )
        }
        return schedule.unroundedValue(at: 0)
    }

    /// What speaks against a step: the first setting that is out of range in it; nil if all are in theirs.
    func problem(at appliedSteps: Int) -> String? {
        for change in changes {
            if let problem = change.schedule.problem(change.setting, at: appliedSteps, in: change.range) {
                return "\(change.owner): \(problem)"
            }
        }
        return nil
    }

    /// Gives rules the values of a step.
    func apply(to rules: inout GroupedRules<Rule>, at appliedSteps: Int) {
        if changes.isEmpty { return }
        var index = 0
        rules.updateEach { rule in
            for change in changes where change.rule == index {
                change.apply(&rule, change.schedule.unroundedValue(at: appliedSteps))
            }
            index += 1
        }
    }
}
