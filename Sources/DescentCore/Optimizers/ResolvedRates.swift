/// Learning rate and weight decay of every parameter, resolved from an optimizer's settings and groups.
struct ResolvedRates: Sendable {
    /// What a schedule is for.
    private enum Setting: String {
        case learningRate, weightDecay

        var name: String { self == .learningRate ? "learning rate" : "weight decay" }
    }

    /// A schedule, whose it is, and its value in the present step.
    private struct Entry: Sendable {
        var schedule: Schedule
        let setting: Setting
        let owner: String
        var value: Float = 0
        /// What is wrong with the value; nil where nothing is.
        var isValid: Bool {
            switch setting {
            // A negative rate is what some closure may want.
            case .learningRate: value.isFinite
            case .weightDecay: value.isFinite && value >= 0
            }
        }
    }

    /// The optimizer's learning rate, its weight decay, and those of groups.
    private var entries: [Entry]
    private let rateIndices: [Int]
    private let decayIndices: [Int]
    private(set) var rates: [UpdateRates]
    /// Whether nothing has been looked up, or what was would not do for a step.
    private var isFresh = true

    init(_ optimizer: any Optimizer, layout: ParameterLayout) throws(DescentError) {
        let name = optimizer.name
        entries = [
            Entry(schedule: optimizer.learningRate, setting: .learningRate, owner: name),
            Entry(schedule: optimizer.weightDecay.schedule, setting: .weightDecay, owner: name),
        ]
        var rateIndices = [Int](repeating: 0, count: layout.count)
        var decayIndices = [Int](repeating: 1, count: layout.count)
        for group in optimizer.groups {
            let owner = "\(name), group \(group.label)"
            try Self.checkSettings(of: group, optimizer, owner)
            if let schedule = group.learningRate {
                entries.append(Entry(schedule: schedule, setting: .learningRate, owner: owner))
            }
            let rate = entries.count - 1
            if let schedule = group.weightDecay {
                entries.append(Entry(schedule: schedule, setting: .weightDecay, owner: owner))
            }
            let decay = entries.count - 1
            var isEmpty = true
            for (index, parameter) in layout.enumerated() where group.selection.contains(parameter) {
                isEmpty = false
                if group.learningRate != nil { rateIndices[index] = rate }
                if group.weightDecay != nil { decayIndices[index] = decay }
            }
            let names = layout.prefix(8).map(\.name).joined(separator: ", ")
            try DescentError.require(
                !isEmpty || !group.mustMatch, name, "no parameter is in group \(group.label); there are \(names).")
            if group.mustMatch { try group.selection.requireMatch(in: layout, of: owner) }
        }
        for entry in entries {
            try entry.schedule.validate(
                entry.setting.rawValue, of: entry.owner, in: .notNegative, isToldMetrics: true)
        }
        self.rateIndices = rateIndices
        self.decayIndices = decayIndices
        let decay = entries[1].schedule.constant.map { Float($0) } ?? 0
        rates = [UpdateRates](repeating: UpdateRates(weightDecay: decay), count: layout.count)
    }

    private static func checkSettings(
        of group: ParameterGroup, _ optimizer: any Optimizer, _ owner: String
    ) throws(DescentError) {
        let known = optimizer.groupSettings
        for setting in group.settings.names where !known.contains(setting) {
            let names = (["learningRate", "weightDecay"] + known.map(\.rawValue)).joined(separator: ", ")
            try DescentError.require(
                false, owner,
                "\(optimizer.name) has no \(setting.rawValue) that a group could set; its groups can set \(names).")
        }
    }

    /// The learning rate of parameters that are in no group, after so many applied steps and the metrics told so far.
    func learningRate(at appliedSteps: Int) -> Float { entries[0].schedule.value(at: appliedSteps) }

    /// Looks up rates and decays for the step that follows so many applied ones.
    ///
    /// - Returns: What speaks against the step: the first rate that is not finite, or decay that is negative or not finite,
    ///   of those that a parameter follows, with its owner; otherwise nil.
    @discardableResult
    mutating func resolve(appliedSteps: Int) -> String? {
        var hasChanged = isFresh
        for index in entries.indices {
            let value = entries[index].schedule.value(at: appliedSteps)
            if value == entries[index].value { continue }
            entries[index].value = value
            hasChanged = true
        }
        // Rates that stay the same have been looked at; one that is no number never equals itself.
        guard hasChanged else { return nil }
        isFresh = false
        var faulty: Int?
        for index in rates.indices {
            let (rate, decay) = (rateIndices[index], decayIndices[index])
            rates[index] = UpdateRates(learningRate: entries[rate].value, weightDecay: entries[decay].value)
            if faulty == nil, !entries[rate].isValid { faulty = rate }
            if faulty == nil, !entries[decay].isValid { faulty = decay }
        }
        guard let faulty else { return nil }
        isFresh = true
        let entry = entries[faulty]
        return "the \(entry.setting.name) of \(entry.owner) is \(entry.value) after \(appliedSteps) applied steps"
    }
}

// MARK: - Metrics

extension ResolvedRates {
    /// Whether a learning rate or a weight decay follows a metric.
    var followsMetric: Bool { entries.contains { $0.schedule.followsMetric } }

    /// Tells a metric to all schedules that follow one.
    ///
    /// - Parameters:
    ///   - metric: The metric.
    ///   - appliedSteps: The number of steps applied so far.
    /// - Throws: ``DescentError`` with code `invalidSetting` for NaN, which is neither better nor worse, or if no schedule
    ///   follows a metric; nothing has changed then.
    mutating func note(metric: Double, appliedSteps: Int) throws(DescentError) {
        let owner = entries[0].owner
        try DescentError.require(
            !metric.isNaN, owner, "the metric is NaN, which is neither better nor worse than others.")
        try DescentError.require(
            followsMetric, owner,
            "no learning rate and no weight decay follows a metric; reduceOnPlateau is one that does.")
        for index in entries.indices { entries[index].schedule.note(metric: metric, at: appliedSteps) }
    }

    /// What schedules remember of metrics; empty if none follows one.
    ///
    /// The keys say what they are for: "learningRate of AdamW".
    var metricStates: [String: MetricState] {
        var states: [String: MetricState] = [:]
        for (index, entry) in entries.enumerated() where entry.schedule.followsMetric {
            states[stateName(index)] = entry.schedule.metricState
        }
        return states
    }

    /// Goes on from what schedules remembered; states of schedules that are no longer there are left out, and a schedule
    /// without a state starts anew.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch` for a state that is not that of its schedule; nothing has changed
    ///   then.
    mutating func resume(_ states: [String: MetricState]) throws(DescentError) {
        var resumed = entries
        for index in resumed.indices where resumed[index].schedule.followsMetric {
            guard let state = states[stateName(index)] else { continue }
            try resumed[index].schedule.resume(state)
        }
        entries = resumed
    }

    /// What an entry is for; groups of the same label are told apart by their order.
    private func stateName(_ index: Int) -> String {
        let entry = entries[index]
        let name = "\(entry.setting.rawValue) of \(entry.owner)"
        let earlier = entries[..<index].count { $0.setting == entry.setting && $0.owner == entry.owner }
        return earlier == 0 ? name : "\(name) (\(earlier + 1))"
    }
}
