/// What drives the optimizer of one branch: the rates of each parameter in the present step, and what follows the
/// parameters as they move.
struct OptimizerDriver: Sendable {
    /// The optimizer's name, with a number where others before it have the same.
    let name: String
    /// Whether the optimizer updates parameters by itself, because nothing acts on its direction.
    let isFused: Bool
    /// Learning rate and weight decay of each parameter.
    private(set) var rates: ResolvedRates
    /// What follows the parameters as they move, in order.
    private(set) var followers: [any ParameterFollower]
    /// The station of the optimizer.
    let station: Int

    /// Takes over an optimizer that is configured.
    ///
    /// - Throws: ``DescentError`` for rates, decays and groups out of range.
    init(
        _ optimizer: any Optimizer, named name: String, at station: Int, isFused: Bool,
        followers: [any ParameterFollower], for layout: ParameterLayout
    ) throws(DescentError) {
        self.name = name
        self.station = station
        self.isFused = isFused
        self.followers = followers
        rates = try ResolvedRates(optimizer, layout: layout)
    }

    /// The learning rate of parameters that are in no group.
    func learningRate(at appliedSteps: Int) -> OptimizerRate {
        OptimizerRate(optimizer: name, rate: rates.learningRate(at: appliedSteps))
    }

    /// Makes what follows the parameters ready for an update that is certain.
    mutating func prepareFollowers(appliedSteps: Int) {
        for index in followers.indices { followers[index].prepare(appliedSteps: appliedSteps) }
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
