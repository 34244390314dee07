/// What the innermost loop has to know of a branch: no references, which threads would have to count.
@usableFromInline struct BranchPlace: Sendable {
    /// The station of the optimizer.
    @usableFromInline let station: Int
    /// Whether the optimizer updates parameters by itself, because nothing acts on its direction.
    @usableFromInline let isFused: Bool
    /// Where its followers are among those of all branches.
    @usableFromInline let followers: Range<Int>
}

/// What drives the optimizer of one branch: learning rate and weight decay of each parameter in the present step.
struct OptimizerDriver: Sendable {
    /// The optimizer's name, with a number where others before it have the same.
    let name: String
    /// Learning rate and weight decay of each parameter.
    private(set) var rates: ResolvedRates

    /// Takes over an optimizer that is configured.
    ///
    /// - Throws: ``DescentError`` for rates, decays and groups out of range.
    init(
        _ optimizer: any Optimizer, named name: String, for layout: ParameterLayout
    ) throws(DescentError) {
        self.name = name
        rates = try ResolvedRates(optimizer, layout: layout)
    }

    /// The learning rate of parameters that are in no group.
    func learningRate(at appliedSteps: Int) -> OptimizerRate {
        OptimizerRate(optimizer: name, rate: rates.learningRate(at: appliedSteps))
    }

    /// Makes ready for the step that follows so many applied ones.
    ///
    /// - Returns: Why the step is to be skipped: a rate that is not finite; nil if there is none.
    mutating func prepare(appliedSteps: Int) -> SkipReason? {
        guard let problem = rates.resolve(appliedSteps: appliedSteps) else { return nil }
        return SkipReason(.nonFiniteSetting, stage: name, problem)
    }

    /// Whether a learning rate or a weight decay follows a metric.
    var followsMetric: Bool { rates.followsMetric }

    /// Tells schedules a metric that they follow.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting` for NaN.
    mutating func note(metric: Double, appliedSteps: Int) throws(DescentError) {
        try rates.note(metric: metric, appliedSteps: appliedSteps)
    }

    /// What schedules remember of metrics, by what they are for; the driver's name tells two optimizers of a type apart.
    var metricStates: [String: MetricState] {
        Dictionary(uniqueKeysWithValues: rates.metricStates.map { ("\(name): \($0)", $1) })
    }

    /// Goes on from what schedules remembered.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch` for a state that is not that of its schedule.
    mutating func resume(_ states: [String: MetricState]) throws(DescentError) {
        let own = states.filter { $0.key.hasPrefix("\(name): ") }
        try rates.resume(
            Dictionary(uniqueKeysWithValues: own.map { (String($0.key.dropFirst(name.count + 2)), $0.value) }))
    }
}
