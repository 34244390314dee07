/// Derives the plan from what the stages declare.
///
/// For each stage that requires a norm, the planner finds the last stage before it that does more than scale: the
/// norm is measured behind that one, and what scaling stages do in between is multiplied in afterwards. A stage that
/// is neither scaling nor linear is a fixed point: whatever is measured behind it needs every factor before it to be
/// known, which may take an earlier sweep.
struct Planner {
    let stations: [Station]
    let surroundings: Surroundings
    var plan: Plan
    /// After how many measuring sweeps of its segment a station is prepared; 0 is before the first.
    private var preparedAfter: [Int]
    /// For each station that has a pass of its own, the number of the sweep that it takes the place of; 0 for others.
    private(set) var passRounds: [Int]

    /// What else there is to a pipeline than its stations.
    struct Surroundings {
        var configuration = PipelineConfiguration()
        /// How many stations stand in front of the optimizers.
        var trunkCount: Int
        /// For each branch, its stations: the optimizer, then the transforms behind it.
        var branches: [Range<Int>] = []
        /// Whether processes share the work on whole tensors, which takes a pass to give each the results of others.
        var dividesWholeTensors = false
        /// Whether other processes may have an error once a window has been measured, by which it stays as it was.
        var mayBeRefused = false
    }

    /// Makes the plan of a chain.
    ///
    /// - Parameters:
    ///   - stations: Transforms and optimizers, configured.
    ///   - window: Its accumulation, if it has one.
    ///   - surroundings: What else there is.
    /// - Returns: The plan.
    static func plan(
        for stations: [Station], around window: ChainElements.Window?, _ surroundings: Surroundings
    ) -> Plan {
        var planner = Planner(stations, surroundings)
        planner.planSegments(around: window)
        planner.planEnd()
        planner.planChecks()
        return planner.plan
    }

    private init(_ stations: [Station], _ surroundings: Surroundings) {
        self.stations = stations
        self.surroundings = surroundings
        preparedAfter = [Int](repeating: 0, count: stations.count)
        passRounds = preparedAfter
        plan = Plan(
            sources: [[Int]](repeating: [], count: stations.count),
            window: Plan.Segment(transforms: 0..<surroundings.trunkCount, isWindow: true))
    }

    private var skips: Bool { surroundings.configuration.nonFinite.skips }

    private mutating func planSegments(around window: ChainElements.Window?) {
        let start = window?.transformsBefore ?? 0
        if let window {
            // What a stage remembers of NaN or infinities would never leave it again.
            let remembers = skips && stations[..<start].contains(where: \.hasSlots)
            plan.microBatch = segment(0..<start, checksInput: window.settings.dropsNonFinite || remembers)
        }
        for branch in surroundings.branches { findRuns(in: branch) }
        plan.window = segment(start..<surroundings.trunkCount, checksInput: skips, isWindow: true)
        plan.last = plan.window.final
        for branch in surroundings.branches where branch.count > 1 || passRounds[branch.lowerBound] > 0 {
            plan.last += operations(Array(branch), factorsUpTo: branch.upperBound, sweep: .max)
        }
    }

    /// Plans what comes after the stages.
    private mutating func planEnd() {
        guard !surroundings.branches.isEmpty else {
            plan.end = [.store]
            return
        }
        plan.end = [.update]
        if surroundings.configuration.reporting.contains(.updateRatio) {
            let (change, parameter) = (addStatistic(.norm(.l2)), addStatistic(.parameterNorm(.l2)))
            plan.change = (change, parameter)
            plan.end = [
                .measure(statistic: parameter, isOwn: false), .rememberParameters, .update,
                .measureUpdate(statistic: change),
            ]
        }
        if surroundings.configuration.parameterCopy != nil { plan.end.append(.copyParameters) }
    }

    /// Plans what is noticed by the way.
    private mutating func planChecks() {
        let range = plan.window.transforms
        let trunk = Array(range)
        plan.checksInput = skips && checkingPosition(in: range) == range.lowerBound
        plan.mayReopenWindow =
            surroundings.mayBeRefused
            || plan.window.measuring.contains { $0.prepares.contains { stations[$0].canFail } }
        plan.checksResult = skips
        plan.checksFactors = skips
        let tail = measuringPosition(before: range.upperBound, on: trunk, in: range)
        plan.boundingStatistic = plan.window.measuring.flatMap(\.statistics).first {
            guard case .norm = plan.statistics[$0].what else { return false }
            return plan.statistics[$0].position == tail
        }
    }

    private mutating func addStatistic(_ what: Requirement) -> Int {
        plan.statistics.append(Plan.Statistic(what: what, position: stations.count))
        return plan.statistics.count - 1
    }

    /// Finds consecutive scaling transforms.
    private mutating func findRuns(in range: Range<Int>) {
        var start: Int?
        for index in range.lowerBound...range.upperBound {
            if index < range.upperBound, stations[index].effect == .scaling, start == nil || !needsTrueGradient(index) {
                start = start ?? index
            } else if let first = start {
                plan.runs.append(first..<index)
                start = index < range.upperBound && stations[index].effect == .scaling ? index : nil
            }
        }
    }

    /// Whether a station measures something of the gradient that all factors have to be in.
    private func needsTrueGradient(_ station: Int) -> Bool {
        (stations[station].requirements + stations[station].observations).contains(where: \.needsTrueGradient)
    }

    // MARK: Paths

    /// The stations that a gradient goes past on its way to a station, and those behind it on the same branch.
    private func path(past station: Int, in trunk: Range<Int>) -> [Int] {
        guard let branch = stations[station].branch else { return Array(trunk) }
        return Array(trunk) + Array(surroundings.branches[branch])
    }

    private mutating func segment(
        _ range: Range<Int>, checksInput: Bool, isWindow: Bool = false
    ) -> Plan.Segment {
        findRuns(in: range)
        var segment = Plan.Segment(transforms: range, isWindow: isWindow)
        let members = Array(range) + (isWindow ? surroundings.branches.flatMap { Array($0) } : [])
        for station in members {
            for requirement in stations[station].requirements { require(requirement, for: station, in: &segment) }
            for observation in stations[station].observations { observe(observation, for: station, in: &segment) }
            if stations[station].reach.isWholeTensors { planWholeTensors(station, members, checksInput, in: &segment) }
        }
        if checksInput { check(at: checkingPosition(in: range), for: nil, in: &segment) }
        if isWindow, surroundings.configuration.reporting.contains(.layerNorms) {
            // A statistic that nobody requires may give way to one further on that proves the same.
            let statistic = statistic(.norm(.l2), at: range.lowerBound, sweep: 1, in: &segment)
            if !checksInput { segment.measuring[0].checks.removeAll { $0.statistic == statistic && $0.stage == nil } }
        }
        for station in members {
            if preparedAfter[station] == 0 {
                segment.prepares.append(station)
            } else {
                segment.measuring[preparedAfter[station] - 1].prepares.append(station)
            }
        }
        for sweep in segment.measuring.indices { proveChecks(of: &segment.measuring[sweep]) }
        let late = takeLateStatistics(of: &segment)
        for sweep in segment.measuring.indices { fillOperations(of: sweep, in: &segment) }
        segment.final = finalOperations(range, measuring: late)
        return segment
    }

    /// How many stations have to run before the gradient looks, pending factors aside, as it does before this one.
    private func measuringPosition(before station: Int, on path: [Int], in range: Range<Int>) -> Int {
        path.last { $0 < station && stations[$0].effect != .scaling }.map { $0 + 1 } ?? range.lowerBound
    }

    /// The end of the last station before a position that needs true factors.
    func fixedPoint(before position: Int, on path: [Int], in range: Range<Int>) -> Int {
        path.last { $0 < position && stations[$0].effect == .arbitrary }.map { $0 + 1 } ?? range.lowerBound
    }

    /// The first sweep, counted from 1, that can measure at a position.
    private func sweep(measuringAt position: Int, on path: [Int], in range: Range<Int>, isTrue: Bool = false) -> Int {
        let fixed = isTrue ? position : fixedPoint(before: position, on: path, in: range)
        let awaited = path.filter { $0 < position && ($0 < fixed || stations[$0].effect != .scaling) }
        return 1 + (awaited.map { max(preparedAfter[$0], passRounds[$0]) }.max() ?? 0)
    }

    // MARK: Whole tensors

    /// Plans when a station is handed whole tensors: in a pass of its own if something is measured behind it, else in the
    /// last sweep.
    private mutating func planWholeTensors(
        _ station: Int, _ members: [Int], _ checksInput: Bool, in segment: inout Plan.Segment
    ) {
        let behind = members.filter { other in
            other > station && (stations[station].branch == nil || stations[station].branch == stations[other].branch)
        }
        let isMeasuredBehind =
            behind.contains { other in
                (stations[other].requirements + stations[other].observations).contains {
                    $0.isMeasured || $0 == .finite
                }
            } || (checksInput && checkingPosition(in: segment.transforms) > station)
        let isDivided = surroundings.dividesWholeTensors && stations[station].canBePassed
        guard isMeasuredBehind || isDivided else {
            plan.wholeInLastSweep.append(station)
            return
        }
        let before = path(past: station, in: segment.transforms).filter { $0 <= station }
        let round = 1 + (before.map { max(preparedAfter[$0], passRounds[$0]) }.max() ?? 0)
        let own = operations(before, factorsUpTo: station, sweep: round)
        passRounds[station] = round
        while segment.measuring.count < round { segment.measuring.append(Plan.Measuring()) }
        segment.measuring[round - 1].passes.append(plan.passes.count)
        plan.passes.append(Plan.Pass(station: station, operations: own, end: [.keep(pass: plan.passes.count)]))
    }

    // MARK: Statistics

    private mutating func require(_ what: Requirement, for station: Int, in segment: inout Plan.Segment) {
        if what == .finite {
            let position = measuringPosition(
                before: station, on: path(past: station, in: segment.transforms), in: segment.transforms)
            check(at: position, for: station, in: &segment)
        }
        guard what.isMeasured else { return }
        let (statistic, sweep) = statistic(what, for: station, in: &segment)
        preparedAfter[station] = max(preparedAfter[station], sweep)
        if case .norm = what { segment.measuring[sweep - 1].checks.append((statistic, station)) }
    }

    private mutating func observe(_ what: Requirement, for station: Int, in segment: inout Plan.Segment) {
        guard what.isMeasured else { return require(what, for: station, in: &segment) }
        _ = statistic(what, for: station, in: &segment)
    }

    private mutating func statistic(
        _ what: Requirement, for station: Int, in segment: inout Plan.Segment
    ) -> (statistic: Int, sweep: Int) {
        let (range, path) = (segment.transforms, path(past: station, in: segment.transforms))
        let isTrue = what.needsTrueGradient
        let position = isTrue ? station : measuringPosition(before: station, on: path, in: range)
        let sweep = sweep(measuringAt: position, on: path, in: range, isTrue: isTrue)
        let statistic = statistic(
            what, at: position, sweep: sweep, of: position > surroundings.trunkCount ? stations[station].branch : nil,
            by: what.belongsToStage ? station : nil, in: &segment)
        plan.sources[station].append(statistic)
        return (statistic, sweep)
    }

    /// Where a gradient has to be finite: at the input, or behind the last stage that repairs it.
    private func checkingPosition(in range: Range<Int>) -> Int {
        range.last { stations[$0].repairsNonFinite }.map { $0 + 1 } ?? range.lowerBound
    }

    private mutating func check(at position: Int, for station: Int?, in segment: inout Plan.Segment) {
        let range = segment.transforms
        let path = station.map { self.path(past: $0, in: range) } ?? Array(range)
        let sweep = sweep(measuringAt: position, on: path, in: range)
        let branch = position > surroundings.trunkCount ? station.flatMap { stations[$0].branch } : nil
        let statistic = statistic(.norm(.l2), at: position, sweep: sweep, of: branch, in: &segment)
        segment.measuring[sweep - 1].checks.append((statistic, station))
    }

    private mutating func statistic(
        _ what: Requirement, at position: Int, sweep: Int, of branch: Int? = nil, by station: Int? = nil,
        in segment: inout Plan.Segment
    ) -> Int {
        while segment.measuring.count < sweep { segment.measuring.append(Plan.Measuring()) }
        let known = segment.measuring[sweep - 1].statistics.first {
            let other = plan.statistics[$0]
            return other.what == what && other.position == position && other.station == station
        }
        if let known { return known }
        plan.statistics.append(Plan.Statistic(what: what, position: position, branch: branch, station: station))
        segment.measuring[sweep - 1].statistics.append(plan.statistics.count - 1)
        return plan.statistics.count - 1
    }

    /// Drops statistics that only prove finiteness where a norm behind linear stages, in the same sweep, proves it too.
    private mutating func proveChecks(of measuring: inout Plan.Measuring) {
        let wanted = Set(plan.sources.joined())
        for statistic in measuring.statistics where !wanted.contains(statistic) {
            let position = plan.statistics[statistic].position
            let proof = measuring.statistics.first { other in
                let otherPosition = plan.statistics[other].position
                guard case .norm = plan.statistics[other].what else { return false }
                return other != statistic && otherPosition >= position
                    && stations[position..<otherPosition].allSatisfy {
                        $0.effect != .arbitrary && !$0.repairsNonFinite
                    }
            }
            guard let proof else { continue }
            measuring.statistics.removeAll { $0 == statistic }
            for index in measuring.checks.indices where measuring.checks[index].statistic == statistic {
                measuring.checks[index].statistic = proof
            }
        }
    }
}
