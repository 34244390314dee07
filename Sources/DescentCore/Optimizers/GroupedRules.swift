/// What an optimizer makes of its settings: one rule for all parameters, and one for each set of settings that groups
/// give some of them.
///
/// ```swift
/// mutating func configure(for layout: ParameterLayout) throws(DescentError) {
///     rules = try GroupedRules(groups, of: name, in: layout) { settings, owner throws(DescentError) in
///         Rule(momentum: settings.momentum ?? momentum)
///     }
/// }
/// func update(_ block: inout some UpdateBlock) {
///     let rule = rules[block.parameterIndex]
///     …
/// }
/// ```
public struct GroupedRules<Rule: Sendable>: Sendable {
    /// The rule of parameters that no group gives settings; here, and not in an array, so that it is at hand in every block.
    @usableFromInline var usual: Rule
    @usableFromInline var others: [Rule] = []
    /// For each parameter, which of the others is its own, or -1; empty if there is one rule for all.
    @usableFromInline var indices: [Int] = []
    /// What the indices are where all parameters took part in all steps, and how many of the others are theirs.
    private var usualIndices: [Int] = []
    private var usualCount = 0
    /// For each parameter, how many applied steps it took no part in; empty if all took part in all.
    private var missedSteps: [Int] = []
    /// For each of the others beyond the usual ones, which rule it is made of, and how many steps were missed.
    private var latecomers: [Latecomer] = []

    private struct Latecomer: Hashable, Sendable {
        /// Which of the others, or -1.
        let rule: Int
        let missedSteps: Int
    }

    /// One rule for all parameters.
    public init(_ rule: Rule) { usual = rule }

    /// Makes a rule for each set of settings.
    ///
    /// - Parameters:
    ///   - groups: The groups; where a parameter is in several, each setting is that of the last one that gives it.
    ///   - optimizer: The optimizer's name, for errors.
    ///   - layout: The parameters.
    ///   - makeRule: Checks settings and makes a rule of them; it is told whose settings they are, for errors.
    /// - Throws: What `makeRule` throws.
    public init(
        _ groups: [ParameterGroup], of optimizer: String, in layout: ParameterLayout,
        _ makeRule: (_ settings: GroupSettings, _ owner: String) throws(DescentError) -> Rule
    ) throws(DescentError) {
        usual = try makeRule(GroupSettings(), optimizer)
        let overriding = groups.filter { $0.settings != GroupSettings() }
        guard !overriding.isEmpty else { return }
        var known = [GroupSettings(): -1]
        for parameter in layout {
            var (settings, owner) = (GroupSettings(), optimizer)
            for group in overriding where group.selection.contains(parameter) {
                settings = settings.overridden(by: group.settings)
                owner = "\(optimizer), group \(group.label)"
            }
            if known[settings] == nil {
                known[settings] = others.count
                others.append(try makeRule(settings, owner))
            }
            indices.append(known[settings] ?? -1)
        }
        (usualIndices, usualCount) = (indices, others.count)
    }

    /// The rule of a parameter.
    @inlinable public subscript(parameter: Int) -> Rule {
        if indices.isEmpty { return usual }
        let index = indices[parameter]
        return index < 0 ? usual : others[index]
    }

    /// Whether two parameters have the same settings.
    public func isSame(for parameter: Int, _ other: Int) -> Bool {
        usualIndices.isEmpty || usualIndices[parameter] == usualIndices[other]
    }

    /// Changes every rule, such as at the start of a step.
    ///
    /// It does not reach the copies that ``updateEach(appliedSteps:missedSteps:_:)`` makes, which the next call makes anew.
    public mutating func updateEach(_ body: (inout Rule) -> Void) {
        body(&usual)
        for index in 0..<usualCount { body(&others[index]) }
    }

    /// Changes every rule at the start of a step, each for the number of updates that its parameters have had.
    ///
    /// Where all parameters took part in all steps, each rule is changed once. Otherwise those that missed as many have a
    /// copy of their rule between them.
    ///
    /// - Parameters:
    ///   - appliedSteps: How many steps have been applied.
    ///   - missedSteps: For each parameter, how many of them it took no part in; empty if all took part in all.
    ///   - body: Changes a rule; it is told how many updates its parameters have had.
    /// - Complexity: O(n) in the number of rules, and of parameters where one has missed a step.
    public mutating func updateEach(
        appliedSteps: Int, missedSteps: [Int], _ body: (inout Rule, _ updates: Int) -> Void
    ) {
        if missedSteps.isEmpty {
            forgetMissedSteps()
        } else {
            separate(by: missedSteps)
            // Copies are made of rules as they are before the step.
            for (index, latecomer) in latecomers.enumerated() {
                others[usualCount + index] = latecomer.rule < 0 ? usual : others[latecomer.rule]
                body(&others[usualCount + index], appliedSteps - latecomer.missedSteps)
            }
        }
        body(&usual, appliedSteps)
        for index in 0..<usualCount { body(&others[index], appliedSteps) }
    }

    private mutating func forgetMissedSteps() {
        guard !missedSteps.isEmpty else { return }
        indices = usualIndices
        others.removeSubrange(usualCount...)
        (missedSteps, latecomers) = ([], [])
    }

    /// Gives parameters that have missed steps rules of their own.
    private mutating func separate(by missedSteps: [Int]) {
        guard missedSteps != self.missedSteps else { return }
        forgetMissedSteps()
        self.missedSteps = missedSteps
        var known: [Latecomer: Int] = [:]
        if indices.isEmpty { indices = [Int](repeating: -1, count: missedSteps.count) }
        for (parameter, missed) in missedSteps.enumerated() where missed > 0 {
            let latecomer = Latecomer(rule: indices[parameter], missedSteps: missed)
            if known[latecomer] == nil {
                known[latecomer] = usualCount + latecomers.count
                latecomers.append(latecomer)
                others.append(usual)
            }
            indices[parameter] = known[latecomer] ?? -1
        }
    }
}
