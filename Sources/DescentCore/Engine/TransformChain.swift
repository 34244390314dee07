/// What stands on the way from gradients to updates, and the factors that scaling transforms have set in the present step.
struct TransformChain: Sendable {
    /// The transforms in front of the optimizers and behind them.
    private(set) var transforms: [any GradientTransform]
    /// The optimizer of each branch.
    private(set) var optimizers: [any Optimizer]
    /// What follows the parameters as they move, branch by branch.
    private(set) var followers: [any ParameterFollower]
    /// What is known of each branch.
    let branchPlaces: [BranchPlace]
    /// Both, in the order in which gradients flow.
    let stations: [Station]
    /// What each of them is.
    let places: [Station.Place]
    /// For each station, the parameters that it works on; nil for all.
    private let selections: [[Bool]?]
    /// The same without parameters that are left out of the present step.
    private var presentSelections: [[Bool]?]
    /// For each parameter, whether it is left out of the present step; empty if none is.
    private var isLeftOut: [Bool] = []
    /// For each parameter, whether it takes part, and no stage has frozen it.
    let isActive: [Bool]
    private let layout: ParameterLayout
    /// For each station, what it multiplies gradients by.
    private var factors: [ScaleFactors]
    /// For each run of consecutive scaling transforms, and in it for each parameter, their product.
    private(set) var runFactors: [Double]
    private let runs: [Range<Int>]
    /// For each station, the statistics that it is told.
    private let sources: [[Int]]
    /// For each statistic, the first station whose factor is not in it.
    private let firstFactors: [Int]
    /// Room for the factors of one station's incoming gradient.
    private var incomingFactors: [Double]
    /// How many stations stand in front of the optimizers.
    private let trunkCount: Int

    /// Puts transforms and optimizers together that are configured.
    init(
        _ parts: EngineParts, _ stations: [Station], for layout: ParameterLayout, _ owners: ParameterOwners,
        isActive: [Bool], _ plan: Plan
    ) {
        transforms = parts.transforms
        optimizers = parts.optimizers
        followers = parts.followers.flatMap { $0 }
        var next = 0
        branchPlaces = parts.followers.enumerated().map { branch, followers in
            defer { next += followers.count }
            let station = stations.firstIndex { $0.kind == .optimizer(branch) } ?? 0
            let isAlone = !stations.indices.contains(station + 1) || stations[station + 1].branch != branch
            return BranchPlace(
                station: station, isFused: isAlone && !plan.passes.contains { $0.station == station },
                followers: next..<next + followers.count)
        }
        self.stations = stations
        places = stations.map(\.place)
        self.layout = layout
        self.isActive = isActive
        selections = stations.map { station in
            let isChosen = station.branch.map { owners.isOwned(by: $0) } ?? isActive
            return isChosen.contains(false) ? isChosen : nil
        }
        presentSelections = selections
        trunkCount = plan.window.transforms.upperBound
        factors = stations.map { _ in ScaleFactors() }
        runs = plan.runs
        runFactors = [Double](repeating: 1, count: plan.runs.count * layout.count)
        sources = plan.sources
        firstFactors = plan.statistics.map(\.firstFactor)
        incomingFactors = [Double](repeating: 1, count: layout.count)
    }

    /// What the loss is to be multiplied by.
    var lossScale: Float { lossScale(of: transforms.indices) }

    /// What some transforms undo of it.
    func lossScale(of range: Range<Int>) -> Float {
        var scale: Float = 1
        for index in range { scale *= transforms[index].lossScale }
        return scale
    }

    /// Whether a station from a position on undoes a loss scale.
    func undoesLossScale(from position: Int) -> Bool {
        (0..<trunkCount).contains { $0 >= position && transforms[$0].order.leaves.contains(.unscaled) }
    }

    /// The first station that needs the parameters, by its name; nil if none does.
    var readerOfParameters: String? { stations.first(where: \.readsParameters)?.name }

    /// Whether one of some stations needs the parameters.
    func readsParameters(_ some: Range<Int>) -> Bool { stations[some].contains(where: \.readsParameters) }

    /// Whether something is measured for an optimizer for which it may need the parameters.
    var measuresForOptimizers: Bool {
        stations.contains { station in
            guard case .optimizer = station.kind else { return false }
            return station.requirements.contains { $0.readsParameters || $0.belongsToStage }
        }
    }

    // MARK: A step

    /// Has parameters take no part from now on; empty if all do.
    mutating func leaveOut(_ isLeftOut: [Bool]) {
        self.isLeftOut = isLeftOut
        presentSelections = selections
        guard !isLeftOut.isEmpty else { return }
        for station in stations.indices {
            let selection = selections[station]
            presentSelections[station] = isLeftOut.indices.map { !isLeftOut[$0] && selection?[$0] ?? true }
        }
    }

    /// Whether a parameter is neither frozen nor left out of the present step.
    func takesPart(_ parameter: Int) -> Bool { isActive[parameter] && (isLeftOut.isEmpty || !isLeftOut[parameter]) }

    /// Forgets the factors of the last step, those of stations from a position on.
    mutating func resetFactors(from position: Int = 0) {
        for index in position..<factors.count { factors[index].reset() }
    }

    /// Makes what follows the parameters ready for an update that is certain.
    ///
    /// - Parameters:
    ///   - appliedSteps: The number of steps applied before.
    ///   - late: Those that begin with this one.
    mutating func prepareFollowers(appliedSteps: Int, beginning late: [Int] = []) {
        for index in followers.indices {
            followers[index].prepare(appliedSteps: late.contains(index) ? 0 : appliedSteps)
        }
    }

    /// Prepares one station.
    ///
    /// - Parameters:
    ///   - index: Which one.
    ///   - measured: What has been measured in this step.
    ///   - counters: The number of steps applied before.
    ///   - report: Gets what the station records.
    ///   - checksFactors: Whether a factor that is not finite is a reason to skip.
    /// - Returns: Why the step is to be skipped; nil if there is no reason.
    /// - Throws: What the station throws.
    mutating func prepare(
        _ index: Int, _ measured: [MeasuredStatistic], _ counters: StepCounters, _ report: inout StepReport,
        checksFactors: Bool
    ) throws(DescentError) -> SkipReason? {
        multiplyIncomingFactors(of: index)
        var own = ScaleFactors()
        swap(&own, &factors[index])
        // A step that a station has thrown out of may be tried again.
        own.reset()
        var records = StepRecords()
        swap(&records, &report.records)
        let name = stations[index].name
        var preparation = StepPreparation(
            layout: layout, appliedSteps: counters.appliedSteps, missedSteps: counters.missedSteps,
            incoming: statistics(of: index, measured), factors: own, records: records, stage: name)
        own = ScaleFactors()
        records = StepRecords()
        defer {
            swap(&factors[index], &preparation.factors)
            swap(&report.records, &preparation.records)
        }
        switch stations[index].kind {
        case .transform(let transform): try transforms[transform].prepare(&preparation)
        case .optimizer(let branch): try optimizers[branch].prepare(&preparation)
        }
        if preparation.hasFactors, stations[index].effect != .scaling { refuseFactors(of: index, preparation) }
        if let veto = preparation.veto { return SkipReason(.vetoed, stage: name, "\(name): \(veto)") }
        guard checksFactors, !preparation.factors.isFinite else { return nil }
        return SkipReason(
            .nonFiniteSetting, stage: name,
            "\(name) multiplies by \(preparation.factors.firstNonFinite) at step \(counters.appliedSteps + 1)")
    }

    /// Stops the program for factors that nobody would carry out, unless somebody takes note of what the station uses.
    private func refuseFactors(of index: Int, _ preparation: StepPreparation) {
        guard preparation.incoming.audit == nil else { return }
        let remedy =
            switch stations[index].kind {
            case .transform:
                "conform to GradientScaling, or keep the factor in a property and multiply by it in transform(_:)"
            case .optimizer: "put such a stage in front of it, or keep the factor in a property"
            }
        stopForMisuse(
            "\(stations[index].name) sets factors in prepare(_:), which are carried out for scaling stages alone: "
                + "\(remedy).")
    }

    /// Makes one factor for each parameter of those of consecutive scaling transforms.
    mutating func multiplyRunFactors() {
        for run in runs.indices {
            let start = run * layout.count
            for index in start..<start + layout.count { runFactors[index] = 1 }
            for transform in runs[run] {
                factors[transform].multiply(into: &runFactors, from: start, count: layout.count)
            }
        }
    }

    /// Tells all stations how the step ended.
    ///
    /// - Returns: What the first of them throws, after the last has been told.
    mutating func finish(
        _ skipReason: SkipReason?, nonFinite: SkipReason?, diverged parameter: String?, _ measured: [MeasuredStatistic]
    ) -> DescentError? {
        guard !stations.isEmpty else { return nil }
        var failure: DescentError?
        // One for all, because reasons hold many references.
        var result = StepResult(
            skipReason: skipReason, nonFiniteReason: nonFinite, divergedParameter: parameter,
            incoming: statistics(of: 0, measured))
        for index in stations.indices {
            // Factors are multiplied where they lie, as long as nobody else holds them.
            result.incoming.factors = []
            multiplyIncomingFactors(of: index)
            result.incoming = statistics(of: index, measured)
            do throws(DescentError) {
                switch stations[index].kind {
                case .transform(let transform): try transforms[transform].finish(result)
                case .optimizer(let branch): try optimizers[branch].finish(result)
                }
            } catch { failure = failure ?? error }
        }
        return failure
    }

    private func statistics(of index: Int, _ measured: [MeasuredStatistic]) -> GradientStatistics {
        GradientStatistics(
            measured: measured, indices: sources[index], factors: incomingFactors, selection: presentSelections[index],
            stage: stations[index].name)
    }

    /// Multiplies what scaling transforms before one have done since what it knows was measured.
    private mutating func multiplyIncomingFactors(of index: Int) {
        // What was measured with all factors in it knows none that follow.
        guard let statistic = sources[index].min(by: { firstFactors[$0] < firstFactors[$1] }) else { return }
        for parameter in incomingFactors.indices { incomingFactors[parameter] = 1 }
        for station in firstFactors[statistic]..<max(firstFactors[statistic], index)
        where stations[station].branch == nil || stations[station].branch == stations[index].branch {
            factors[station].multiply(into: &incomingFactors, from: 0, count: layout.count)
        }
    }

    // MARK: What factors come to

    /// The largest that gradients of a norm can be once all factors up to the optimizers are multiplied in.
    func bound(_ norm: Double, from statistic: Int) -> Double {
        var bound = norm
        for station in firstFactors[statistic]..<trunkCount { bound *= factors[station].largest }
        return bound
    }

    /// What a norm has to be multiplied by to be that of the gradient at its true scale.
    func trueScale(from statistic: Int) -> Double {
        // What undoes a loss scale does so for all that take part.
        guard let parameter = isActive.indices.first(where: { takesPart($0) }) else { return 1 }
        var scale = 1.0
        for station in firstFactors[statistic]..<trunkCount where transforms[station].lossScale != 1 {
            scale *= factors[station].of(parameter)
        }
        return scale
    }

    /// The name of the transform that multiplies a parameter's gradient most, if one makes it larger.
    func largestFactor(of parameter: Int) -> String? {
        let magnitudes = factors.map { $0.of(parameter).magnitude }
        guard let largest = magnitudes.max(), largest > 1 else { return nil }
        return magnitudes.firstIndex(of: largest).map { stations[$0].name }
    }
}
