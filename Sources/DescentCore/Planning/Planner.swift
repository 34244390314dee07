/// Derives the plan from what the stages declare.
///
/// For each stage that requires a norm, the planner finds the last stage before it that does more than scale: the
/// norm is measured behind that one, and what scaling stages do in between is multiplied in afterwards. A stage that
/// is neither scaling nor linear is a fixed point: whatever is measured behind it needs every factor before it to be
/// known, which may take an earlier sweep.
struct Planner {
    private let transforms: [any GradientTransform]
    private let surroundings: Surroundings
    private var plan: Plan
    /// After how many measuring sweeps of its segment a transform is prepared; 0 is before the first.
    private var preparedAfter: [Int]

    /// What else there is to a pipeline than its transforms.
    struct Surroundings {
        var configuration = PipelineConfiguration()
        var hasOptimizer = true
        var proposesUpdate = false
    }

    /// Makes the plan of a chain.
    ///
    /// - Parameters:
    ///   - transforms: Its transforms, configured.
    ///   - window: Its accumulation, if it has one.
    ///   - surroundings: What else there is.
    /// - Returns: The plan.
    static func plan(
        for transforms: [any GradientTransform], around window: ChainElements.Window?, _ surroundings: Surroundings
    ) -> Plan {
        var planner = Planner(transforms, surroundings)
        planner.planSegments(around: window)
        planner.planEnd()
        planner.planChecks()
        return planner.plan
    }

    private init(_ transforms: [any GradientTransform], _ surroundings: Surroundings) {
        self.transforms = transforms
        self.surroundings = surroundings
        preparedAfter = [Int](repeating: 0, count: transforms.count)
        plan = Plan(
            sources: [[Int]](repeating: [], count: transforms.count),
            window: Plan.Segment(transforms: transforms.indices, isWindow: true))
    }

    private var skips: Bool { surroundings.configuration.nonFinite.skips }

    private mutating func planSegments(around window: ChainElements.Window?) {
        let start = window?.transformsBefore ?? 0
        if let window {
            plan.microBatch = segment(0..<start, checksInput: window.settings.dropsNonFinite)
        }
        plan.window = segment(start..<transforms.count, checksInput: skips, isWindow: true)
    }

    /// Plans what comes after the stages.
    private mutating func planEnd() {
        guard surroundings.hasOptimizer else {
            plan.end = [.store]
            return
        }
        var update: [Plan.Operation] = [.update]
        if surroundings.configuration.reporting.contains(.updateRatio) {
            let (change, parameter) = (addStatistic(.norm(.l2)), addStatistic(.parameterNorm(.l2)))
            plan.change = (change, parameter)
            update = [.measure(statistic: parameter), .rememberParameters, .update, .measureUpdate(statistic: change)]
        }
        if surroundings.configuration.parameterCopy != nil { update.append(.copyParameters) }
        guard surroundings.proposesUpdate else {
            plan.end = update
            return
        }
        let (proposed, parameter) = (addStatistic(.norm(.l2)), addStatistic(.parameterNorm(.l2)))
        plan.proposal = (proposed, parameter)
        plan.end = [.propose, .measure(statistic: proposed), .measure(statistic: parameter)]
        plan.proposedEnd = update
    }

    /// Plans what is noticed by the way.
    private mutating func planChecks() {
        let range = plan.window.transforms
        plan.checksInput = skips && checkingPosition(in: range) == range.lowerBound
        plan.mayReopenWindow = plan.window.measuring.contains { $0.prepares.contains { transforms[$0].canFail } }
        plan.checksResult = skips
        plan.checksFactors = skips
        let tail = measuringPosition(before: transforms.count, in: range)
        plan.boundingStatistic = plan.window.measuring.flatMap(\.statistics).first {
            guard case .norm = plan.statistics[$0].what else { return false }
            return plan.statistics[$0].position == tail
        }
    }

    private mutating func addStatistic(_ what: Requirement) -> Int {
        plan.statistics.append(Plan.Statistic(what: what, position: transforms.count))
        return plan.statistics.count - 1
    }

    /// Finds consecutive scaling transforms.
    private mutating func findRuns(in range: Range<Int>) {
        var start: Int?
        for index in range.lowerBound...range.upperBound {
            if index < range.upperBound, transforms[index].effect == .scaling {
                start = start ?? index
            } else if let first = start {
                plan.runs.append(first..<index)
                start = nil
            }
        }
    }

    private mutating func segment(
        _ range: Range<Int>, checksInput: Bool, isWindow: Bool = false
    ) -> Plan.Segment {
        findRuns(in: range)
        var segment = Plan.Segment(transforms: range, isWindow: isWindow)
        for stage in range {
            for requirement in transforms[stage].requirements { require(requirement, for: stage, in: &segment) }
            for observation in transforms[stage].observations { observe(observation, for: stage, in: &segment) }
        }
        if checksInput { check(at: checkingPosition(in: range), for: nil, in: &segment) }
        if isWindow, surroundings.configuration.reporting.contains(.layerNorms) {
            // A statistic that nobody requires may give way to one further on that proves the same.
            let statistic = statistic(.norm(.l2), at: range.lowerBound, sweep: 1, in: &segment)
            if !checksInput { segment.measuring[0].checks.removeAll { $0.statistic == statistic && $0.stage == nil } }
        }
        for stage in range {
            if preparedAfter[stage] == 0 {
                segment.prepares.append(stage)
            } else {
                segment.measuring[preparedAfter[stage] - 1].prepares.append(stage)
            }
        }
        for sweep in segment.measuring.indices { proveChecks(of: &segment.measuring[sweep]) }
        for sweep in segment.measuring.indices { fillOperations(of: sweep, in: &segment) }
        segment.final = operations(range, upTo: range.upperBound, factorsUpTo: range.upperBound)
        return segment
    }

    /// How many stages have to run before the gradient looks, pending factors aside, as it does before this one.
    private func measuringPosition(before stage: Int, in range: Range<Int>) -> Int {
        range.prefix(upTo: stage).last { transforms[$0].effect != .scaling }.map { $0 + 1 } ?? range.lowerBound
    }

    /// The end of the last stage before a position that needs true factors.
    private func fixedPoint(before position: Int, in range: Range<Int>) -> Int {
        range.prefix(upTo: position).last { transforms[$0].effect == .arbitrary }.map { $0 + 1 } ?? range.lowerBound
    }

    /// The first sweep, counted from 1, that can measure at a position.
    private func sweep(measuringAt position: Int, in range: Range<Int>) -> Int {
        let fixed = fixedPoint(before: position, in: range)
        let awaited = range.prefix(upTo: position).filter { $0 < fixed || transforms[$0].effect != .scaling }
        return 1 + (awaited.map { preparedAfter[$0] }.max() ?? 0)
    }

    private mutating func require(_ what: Requirement, for stage: Int, in segment: inout Plan.Segment) {
        switch what {
        case .parameters: return
        case .finite: check(at: measuringPosition(before: stage, in: segment.transforms), for: stage, in: &segment)
        case .norm, .nonFiniteCount, .count, .parameterNorm:
            let (statistic, sweep) = statistic(what, for: stage, in: &segment)
            preparedAfter[stage] = max(preparedAfter[stage], sweep)
            if case .norm = what { segment.measuring[sweep - 1].checks.append((statistic, stage)) }
        }
    }

    private mutating func observe(_ what: Requirement, for stage: Int, in segment: inout Plan.Segment) {
        switch what {
        case .parameters, .finite: require(what, for: stage, in: &segment)
        case .norm, .nonFiniteCount, .count, .parameterNorm: _ = statistic(what, for: stage, in: &segment)
        }
    }

    private mutating func statistic(
        _ what: Requirement, for stage: Int, in segment: inout Plan.Segment
    ) -> (statistic: Int, sweep: Int) {
        let position = measuringPosition(before: stage, in: segment.transforms)
        let sweep = sweep(measuringAt: position, in: segment.transforms)
        let statistic = statistic(what, at: position, sweep: sweep, in: &segment)
        plan.sources[stage].append(statistic)
        return (statistic, sweep)
    }

    /// Where a gradient has to be finite: at the input, or behind the last stage that repairs it.
    private func checkingPosition(in range: Range<Int>) -> Int {
        range.last { transforms[$0].repairsNonFinite }.map { $0 + 1 } ?? range.lowerBound
    }

    private mutating func check(at position: Int, for stage: Int?, in segment: inout Plan.Segment) {
        let sweep = sweep(measuringAt: position, in: segment.transforms)
        let statistic = statistic(.norm(.l2), at: position, sweep: sweep, in: &segment)
        segment.measuring[sweep - 1].checks.append((statistic, stage))
    }

    private mutating func statistic(
        _ what: Requirement, at position: Int, sweep: Int, in segment: inout Plan.Segment
    ) -> Int {
        while segment.measuring.count < sweep { segment.measuring.append(Plan.Measuring()) }
        let known = segment.measuring[sweep - 1].statistics.first {
            plan.statistics[$0].what == what && plan.statistics[$0].position == position
        }
        if let known { return known }
        plan.statistics.append(Plan.Statistic(what: what, position: position))
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
                    && transforms[position..<otherPosition].allSatisfy {
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

    private mutating func fillOperations(of sweep: Int, in segment: inout Plan.Segment) {
        let statistics = segment.measuring[sweep].statistics.sorted {
            plan.statistics[$0].position < plan.statistics[$1].position
        }
        let end = statistics.last.map { plan.statistics[$0].position } ?? segment.transforms.lowerBound
        let fixed = fixedPoint(before: end, in: segment.transforms)
        var operations: [Plan.Operation] = []
        var position = segment.transforms.lowerBound
        for statistic in statistics {
            let next = plan.statistics[statistic].position
            operations += self.operations(position..<next, upTo: next, factorsUpTo: fixed)
            operations.append(.measure(statistic: statistic))
            plan.statistics[statistic].firstFactor = min(fixed, next)
            position = next
        }
        segment.measuring[sweep].operations = operations
    }

    private func operations(_ range: Range<Int>, upTo end: Int, factorsUpTo fixed: Int) -> [Plan.Operation] {
        var operations: [Plan.Operation] = []
        for stage in range where stage < end {
            if transforms[stage].effect != .scaling {
                operations.append(.transform(stage: stage))
            } else if stage < fixed, let run = plan.runs.firstIndex(where: { $0.lowerBound == stage }) {
                operations.append(.scale(run: run))
            }
        }
        return operations
    }
}

extension Range where Bound == Int {
    fileprivate func prefix(upTo end: Int) -> Range<Int> { lowerBound..<Swift.max(lowerBound, end) }
}
