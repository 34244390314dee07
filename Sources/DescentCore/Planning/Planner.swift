/// Derives the plan from what the stages declare.
///
/// For each stage that requires a norm, the planner finds the last stage before it that does more than scale: the
/// norm is measured behind that one, and what scaling stages do in between is multiplied in afterwards. A stage that
/// is neither scaling nor linear is a fixed point: whatever is measured behind it needs every factor before it to be
/// known, which may take an earlier sweep.
struct Planner {
    private let stages: [any GradientTransform]
    private let surroundings: Surroundings
    private var plan: Plan
    /// After how many measuring sweeps of its segment a stage is prepared; 0 is before the first.
    private var preparedAfter: [Int]

    /// What else there is to a pipeline than its stages.
    struct Surroundings {
        var policy = NonFinitePolicy.skip
        var hasOptimizer = true
        var proposes = false
        var copiesParameters = false
        var reporting: ReportOptions = []
    }

    static func plan(for stages: [any GradientTransform], _ surroundings: Surroundings) -> Plan {
        var planner = Planner(stages, surroundings)
        planner.makePlan()
        planner.planEnd()
        planner.planChecks()
        return planner.plan
    }

    private init(_ stages: [any GradientTransform], _ surroundings: Surroundings) {
        self.stages = stages
        self.surroundings = surroundings
        preparedAfter = [Int](repeating: 0, count: stages.count)
        plan = Plan(
            sources: [[Int]](repeating: [], count: stages.count),
            window: Plan.Segment(stages: stages.indices, isWindow: true))
    }

    private mutating func makePlan() {
        findRuns()
        plan.exchanging = stages.firstIndex { ($0 as? any Exchanging)?.isActive == true }
        plan.sharding = stages.firstIndex { $0 is any Sharding }
        plan.accumulating = stages.firstIndex { $0 is any Accumulating }
        guard let accumulating = plan.accumulating, let stage = stages[accumulating] as? any Accumulating else {
            plan.window = segment(stages.indices, checksInput: surroundings.policy.skips, isWindow: true)
            return
        }
        plan.microBatch = segment(0..<accumulating, checksInput: stage.dropsNonFinite)
        plan.window = segment(
            accumulating + 1..<stages.count, checksInput: surroundings.policy.skips, isWindow: true)
    }

    /// Plans what comes after the stages.
    private mutating func planEnd() {
        guard surroundings.hasOptimizer else {
            plan.end = [.store]
            return
        }
        var update: [Plan.Operation] = [.update]
        if surroundings.reporting.contains(.updateRatio) {
            let (change, parameter) = (addColumn(.norm(.l2)), addColumn(.parameterNorm(.l2)))
            plan.change = (change, parameter)
            update = [.measure(column: parameter), .rememberParameters, .update, .measureUpdate(column: change)]
        }
        if surroundings.copiesParameters { update.append(.copyParameters) }
        guard surroundings.proposes else {
            plan.end = update
            return
        }
        let (proposed, parameter) = (addColumn(.norm(.l2)), addColumn(.parameterNorm(.l2)))
        plan.proposal = (proposed, parameter)
        plan.end = [.propose, .measure(column: proposed), .measure(column: parameter)]
        plan.proposedEnd = update
    }

    /// Plans what is noticed by the way.
    private mutating func planChecks() {
        let range = plan.window.stages
        let skips = surroundings.policy.skips
        plan.checksInput = skips && checkingPosition(in: range) == range.lowerBound
        plan.mayReopenWindow = plan.window.measuring.contains { $0.prepares.contains { stages[$0].canFail } }
        plan.checksResult = skips
        plan.checksFactors = skips
        let tail = measuringPosition(before: stages.count, in: range)
        plan.boundingColumn = plan.window.measuring.flatMap(\.columns).first {
            guard case .norm = plan.columns[$0].what else { return false }
            return plan.columns[$0].position == tail
        }
    }

    private mutating func addColumn(_ what: Requirement) -> Int {
        plan.columns.append(Plan.Column(what: what, position: stages.count))
        return plan.columns.count - 1
    }

    private mutating func findRuns() {
        var start: Int?
        for index in 0...stages.count {
            let isScaling =
                index < stages.count && stages[index].effect == .scaling && !(stages[index] is any Accumulating)
            if isScaling {
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
        var segment = Plan.Segment(stages: range, isWindow: isWindow)
        for stage in range {
            for requirement in stages[stage].requirements { require(requirement, for: stage, in: &segment) }
            for observation in stages[stage].observations { observe(observation, for: stage, in: &segment) }
        }
        if checksInput { check(at: checkingPosition(in: range), for: nil, in: &segment) }
        if isWindow, surroundings.reporting.contains(.layerNorms) {
            // A column that nobody requires may give way to one further on that proves the same.
            let column = column(.norm(.l2), at: range.lowerBound, sweep: 1, in: &segment)
            if !checksInput { segment.measuring[0].checks.removeAll { $0.column == column && $0.stage == nil } }
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
        range.prefix(upTo: stage).last { stages[$0].effect != .scaling }.map { $0 + 1 } ?? range.lowerBound
    }

    /// The end of the last stage before a position that needs true factors.
    private func fixedPoint(before position: Int, in range: Range<Int>) -> Int {
        range.prefix(upTo: position).last { stages[$0].effect == .arbitrary }.map { $0 + 1 } ?? range.lowerBound
    }

    /// The first sweep, counted from 1, that can measure at a position.
    private func sweep(measuringAt position: Int, in range: Range<Int>) -> Int {
        let fixed = fixedPoint(before: position, in: range)
        let awaited = range.prefix(upTo: position).filter { $0 < fixed || stages[$0].effect != .scaling }
        return 1 + (awaited.map { preparedAfter[$0] }.max() ?? 0)
    }

    private mutating func require(_ what: Requirement, for stage: Int, in segment: inout Plan.Segment) {
        switch what {
        case .parameters: return
        case .finite: check(at: measuringPosition(before: stage, in: segment.stages), for: stage, in: &segment)
        case .norm, .nonFiniteCount, .count, .parameterNorm:
            let (column, sweep) = column(what, for: stage, in: &segment)
            preparedAfter[stage] = max(preparedAfter[stage], sweep)
            if case .norm = what { segment.measuring[sweep - 1].checks.append((column, stage)) }
        }
    }

    private mutating func observe(_ what: Requirement, for stage: Int, in segment: inout Plan.Segment) {
        switch what {
        case .parameters, .finite: require(what, for: stage, in: &segment)
        case .norm, .nonFiniteCount, .count, .parameterNorm: _ = column(what, for: stage, in: &segment)
        }
    }

    private mutating func column(
        _ what: Requirement, for stage: Int, in segment: inout Plan.Segment
    ) -> (column: Int, sweep: Int) {
        let position = measuringPosition(before: stage, in: segment.stages)
        let sweep = sweep(measuringAt: position, in: segment.stages)
        let column = column(what, at: position, sweep: sweep, in: &segment)
        plan.sources[stage].append(column)
        return (column, sweep)
    }

    /// Where a gradient has to be finite: at the input, or behind the last stage that repairs it.
    private func checkingPosition(in range: Range<Int>) -> Int {
        range.last { stages[$0].repairsNonFinite }.map { $0 + 1 } ?? range.lowerBound
    }

    private mutating func check(at position: Int, for stage: Int?, in segment: inout Plan.Segment) {
        let sweep = sweep(measuringAt: position, in: segment.stages)
        let column = column(.norm(.l2), at: position, sweep: sweep, in: &segment)
        segment.measuring[sweep - 1].checks.append((column, stage))
    }

    private mutating func column(
        _ what: Requirement, at position: Int, sweep: Int, in segment: inout Plan.Segment
    ) -> Int {
        while segment.measuring.count < sweep { segment.measuring.append(Plan.Measuring()) }
        let known = segment.measuring[sweep - 1].columns.first {
            plan.columns[$0].what == what && plan.columns[$0].position == position
        }
        if let known { return known }
        plan.columns.append(Plan.Column(what: what, position: position))
        segment.measuring[sweep - 1].columns.append(plan.columns.count - 1)
        return plan.columns.count - 1
    }

    /// Drops columns that only prove finiteness where a norm behind linear stages, in the same sweep, proves it too.
    private mutating func proveChecks(of measuring: inout Plan.Measuring) {
        let wanted = Set(plan.sources.joined())
        for column in measuring.columns where !wanted.contains(column) {
            let position = plan.columns[column].position
            let proof = measuring.columns.first { other in
                let otherPosition = plan.columns[other].position
                guard case .norm = plan.columns[other].what else { return false }
                return other != column && otherPosition >= position
                    && stages[position..<otherPosition].allSatisfy { $0.effect != .arbitrary && !$0.repairsNonFinite }
            }
            guard let proof else { continue }
            measuring.columns.removeAll { $0 == column }
            for index in measuring.checks.indices where measuring.checks[index].column == column {
                measuring.checks[index].column = proof
            }
        }
    }

    private mutating func fillOperations(of sweep: Int, in segment: inout Plan.Segment) {
        let columns = segment.measuring[sweep].columns.sorted { plan.columns[$0].position < plan.columns[$1].position }
        let end = columns.last.map { plan.columns[$0].position } ?? segment.stages.lowerBound
        let fixed = fixedPoint(before: end, in: segment.stages)
        var operations: [Plan.Operation] = []
        var position = segment.stages.lowerBound
        for column in columns {
            let next = plan.columns[column].position
            operations += self.operations(position..<next, upTo: next, factorsUpTo: fixed)
            operations.append(.measure(column: column))
            plan.columns[column].firstFactor = min(fixed, next)
            position = next
        }
        segment.measuring[sweep].operations = operations
    }

    private func operations(_ range: Range<Int>, upTo end: Int, factorsUpTo fixed: Int) -> [Plan.Operation] {
        var operations: [Plan.Operation] = []
        for stage in range where stage < end {
            if stages[stage].effect != .scaling {
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
