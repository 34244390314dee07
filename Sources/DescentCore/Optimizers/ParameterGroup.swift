/// A rule that gives some of the parameters their own learning rate or weight decay.
public struct ParameterGroup: Sendable {
    /// What the group is called in errors and explanations.
    public let label: String
    /// Which parameters it holds.
    public let selection: ParameterSelection
    /// Their learning rate; nil leaves it as it is.
    public let learningRate: Schedule?
    /// Their weight decay; nil leaves it as it is.
    public let weightDecay: Float?
    /// Whether it is an error that the group holds no parameter at all.
    public let mustMatch: Bool

    /// Makes a group of the parameters for which a condition holds, of which there has to be one.
    public init(
        _ label: String, learningRate: Schedule? = nil, weightDecay: Float? = nil,
        where contains: @escaping @Sendable (ParameterDescription) -> Bool
    ) {
        self.init(
            label: label, .satisfying(contains), learningRate: learningRate, weightDecay: weightDecay, mustMatch: true)
    }

    private init(
        label: String, _ selection: ParameterSelection, learningRate: Schedule?, weightDecay: Float?, mustMatch: Bool
    ) {
        self.label = label
        self.selection = selection
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        self.mustMatch = mustMatch
    }

    /// The parameters whose name begins like this, of which there has to be one.
    public static func named(
        prefix: String, learningRate: Schedule? = nil, weightDecay: Float? = nil
    ) -> ParameterGroup {
        ParameterGroup(
            label: "named \(prefix)*", .named(prefix: prefix), learningRate: learningRate, weightDecay: weightDecay,
            mustMatch: true)
    }

    /// The parameters with a rank in a range, if there are any.
    public static func rank(
        _ ranks: ClosedRange<Int>, learningRate: Schedule? = nil, weightDecay: Float? = nil
    ) -> ParameterGroup {
        ParameterGroup(
            label: "rank \(ranks.lowerBound) to \(ranks.upperBound)", .rank(ranks), learningRate: learningRate,
            weightDecay: weightDecay, mustMatch: false)
    }

    /// The parameters of rank 0 and 1, biases and gains, without weight decay.
    public static let vectorsWithoutDecay = ParameterGroup.rank(0...1, weightDecay: 0)
}

/// Learning rate and weight decay of every parameter, resolved from an optimizer's settings and groups.
struct ResolvedRates: Sendable {
    private let schedules: [Schedule]
    private let scheduleIndices: [Int]
    private(set) var rates: [UpdateRates]

    init(_ optimizer: any Optimizer, layout: ParameterLayout) throws(DescentError) {
        let name = optimizer.name
        try optimizer.learningRate.validate(for: name)
        try Self.requireDecay(optimizer.weightDecay, name)
        var schedules = [optimizer.learningRate]
        var scheduleIndices = [Int](repeating: 0, count: layout.count)
        var rates = [UpdateRates](repeating: UpdateRates(weightDecay: optimizer.weightDecay), count: layout.count)
        for group in optimizer.groups {
            if let schedule = group.learningRate {
                try schedule.validate(for: "\(name), group \(group.label)")
                schedules.append(schedule)
            }
            if let decay = group.weightDecay { try Self.requireDecay(decay, "\(name), group \(group.label)") }
            var isEmpty = true
            for (index, parameter) in layout.enumerated() where group.selection.contains(parameter) {
                isEmpty = false
                if group.learningRate != nil { scheduleIndices[index] = schedules.count - 1 }
                if let decay = group.weightDecay { rates[index].weightDecay = decay }
            }
            let names = layout.prefix(8).map(\.name).joined(separator: ", ")
            try DescentError.require(
                !isEmpty || !group.mustMatch, name, "no parameter is in group \(group.label); there are \(names).")
        }
        self.schedules = schedules
        self.scheduleIndices = scheduleIndices
        self.rates = rates
    }

    private static func requireDecay(_ decay: Float, _ owner: String) throws(DescentError) {
        try DescentError.require(
            decay.isFinite && decay >= 0, owner, "weightDecay is \(decay); it has to be a finite number of at least 0.")
    }

    /// Resolves the rates of a step.
    ///
    /// - Returns: What is wrong with one that is not finite; nil if all are.
    mutating func resolve(appliedSteps: Int) -> String? {
        if schedules.count == 1 {
            let rate = schedules[0].value(at: appliedSteps)
            for index in rates.indices { rates[index].learningRate = rate }
        } else {
            for index in rates.indices {
                rates[index].learningRate = schedules[scheduleIndices[index]].value(at: appliedSteps)
            }
        }
        guard let rate = rates.first(where: { !$0.learningRate.isFinite })?.learningRate else { return nil }
        return "the learning rate is \(rate) at step \(appliedSteps + 1)"
    }
}
