/// Learning rate and weight decay of every parameter, resolved from an optimizer's settings and groups.
struct ResolvedRates: Sendable {
    private let schedules: [Schedule]
    /// Whose schedules they are, for errors.
    private let owners: [String]
    /// What they are in the present step.
    private var values: [Float]
    private let scheduleIndices: [Int]
    private(set) var rates: [UpdateRates]

    init(_ optimizer: any Optimizer, layout: ParameterLayout) throws(DescentError) {
        let name = optimizer.name
        try optimizer.learningRate.validate(for: name)
        let decay = optimizer.weightDecay.schedule.value(at: 0)
        try Self.requireDecay(decay, name)
        var (schedules, owners) = ([optimizer.learningRate], [name])
        var scheduleIndices = [Int](repeating: 0, count: layout.count)
        var rates = [UpdateRates](repeating: UpdateRates(weightDecay: decay), count: layout.count)
        for group in optimizer.groups {
            let owner = "\(name), group \(group.label)"
            try Self.check(group, of: optimizer, owner)
            if let schedule = group.learningRate {
                schedules.append(schedule)
                owners.append(owner)
            }
            var isEmpty = true
            for (index, parameter) in layout.enumerated() where group.selection.contains(parameter) {
                isEmpty = false
                if group.learningRate != nil { scheduleIndices[index] = schedules.count - 1 }
                if let decay = group.weightDecay { rates[index].weightDecay = decay }
            }
            let names = layout.prefix(8).map(\.name).joined(separator: ", ")
            try DescentError.require(
                !isEmpty || !group.mustMatch, name, "no parameter is in group \(group.label); there are \(names).")
            if group.mustMatch { try group.selection.requireMatch(in: layout, of: owner) }
        }
        self.schedules = schedules
        self.owners = owners
        self.values = schedules.map { _ in 0 }
        self.scheduleIndices = scheduleIndices
        self.rates = rates
    }

    private static func check(
        _ group: ParameterGroup, of optimizer: any Optimizer, _ owner: String
    ) throws(DescentError) {
        try group.learningRate?.validate(for: owner)
        if let decay = group.weightDecay { try requireDecay(decay, owner) }
        let known = optimizer.groupSettings
        for setting in group.settings.names where !known.contains(setting) {
            let names = (["learningRate", "weightDecay"] + known.map(\.rawValue)).joined(separator: ", ")
            try DescentError.require(
                false, owner,
                "\(optimizer.name) has no \(setting.rawValue) that a group could set; its groups can set \(names).")
        }
    }

    private static func requireDecay(_ decay: Float, _ owner: String) throws(DescentError) {
        try DescentError.require(
            decay.isFinite && decay >= 0, owner, "weightDecay is \(decay); it has to be a finite number of at least 0.")
    }

    /// Looks up the learning rates of the step that follows so many applied ones.
    ///
    /// - Returns: What speaks against the step: the first rate that is not finite, with its owner; otherwise nil.
    @discardableResult
    mutating func resolve(appliedSteps: Int) -> String? {
        for index in schedules.indices { values[index] = schedules[index].value(at: appliedSteps) }
        var faulty: Int?
        for index in rates.indices {
            let schedule = scheduleIndices[index]
            rates[index].learningRate = values[schedule]
            if !values[schedule].isFinite { faulty = faulty ?? schedule }
        }
        guard let faulty else { return nil }
        return "the learning rate of \(owners[faulty]) is \(values[faulty]) after \(appliedSteps) applied steps"
    }
}
