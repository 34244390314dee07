// What changes between two steps: metrics that schedules follow, and settings.

extension Engine {
    /// Tells schedules a metric that they follow.
    ///
    /// - Throws: ``DescentError`` with code `invalidSetting` for NaN, or if no schedule follows a metric.
    mutating func note(metric: Double) throws(DescentError) {
        let followers = drivers.indices.filter { drivers[$0].followsMetric }
        // Where none does, the first says so.
        for index in followers.isEmpty ? Array(drivers.indices.prefix(1)) : followers {
            try drivers[index].note(metric: metric, appliedSteps: counters.appliedSteps)
        }
    }

    /// A composition whose exchange is connected to other processes already.
    func connected(_ composition: Composition) -> Composition {
        guard let exchange, let position = elements.chain.exchange?.position else { return composition }
        var composition = composition
        composition.stages[position] = exchange
        return composition
    }

    /// Goes on with components of which some settings have changed, checked and planned as if it were built with them.
    ///
    /// - Parameters:
    ///   - composition: The components, one of them changed.
    ///   - position: Which of them.
    ///   - settings: Its settings.
    /// - Throws: What building an engine throws; this one is as it was then.
    mutating func change(
        to composition: Composition, at position: Int, _ settings: any ComponentState
    ) throws(DescentError) {
        let state = try state
        let resumption = try Resumption(
            state, for: layout, kinds: composition.kinds, .sameStages, allowsOtherSlots: true)
        var changed = try Engine(
            sweeps.backend, layout, connected(composition), configuration,
            sharingOver: sharesRows ? exchange : nil, resuming: state, resumption)
        changed.changedSettings = changedSettings
        changed.changedSettings[position] = settings
        changed.reporter = reporter
        changed.divergence = divergence
        changed.followerStarts.keep(followerStarts)
        changed.lentTypes = lentTypes
        changed.sweeps.keepParameterCopy(of: sweeps)
        self = changed
    }
}
