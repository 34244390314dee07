// What a sweep does to a block, in order, once it is known what is measured where.

extension Planner {
    mutating func fillOperations(of sweep: Int, in segment: inout Plan.Segment) {
        let statistics = segment.measuring[sweep].statistics.sorted {
            plan.statistics[$0].position < plan.statistics[$1].position
        }
        let range = segment.transforms
        let inTrunk = statistics.filter { plan.statistics[$0].branch == nil }
        let branches = surroundings.branches.indices.filter { branch in
            statistics.contains { plan.statistics[$0].branch == branch }
        }
        // What is behind an optimizer needs all of what is in front of it.
        let end = branches.isEmpty ? inTrunk.last.map { plan.statistics[$0].position } : range.upperBound
        var operations = fill(
            inTrunk, Array(range), upTo: end ?? range.lowerBound, sweep: sweep + 1, in: range,
            isFixed: !branches.isEmpty)
        for branch in branches {
            let own = statistics.filter { plan.statistics[$0].branch == branch }
            let path = Array(surroundings.branches[branch])
            let end = own.last.map { plan.statistics[$0].position } ?? path[0]
            operations += fill(own, path, upTo: end, sweep: sweep + 1, in: range, isFixed: false)
        }
        segment.measuring[sweep].operations = operations
    }

    /// Takes the last sweeps away that nothing is done after but to report counts, which the sweep that follows can make.
    ///
    /// - Parameter segment: The segment whose stages are all planned.
    /// - Returns: The counts.
    mutating func takeLateStatistics(of segment: inout Plan.Segment) -> [Int] {
        var late: [Int] = []
        while let sweep = segment.measuring.last, sweep.prepares.isEmpty, sweep.checks.isEmpty, sweep.passes.isEmpty,
            sweep.statistics.allSatisfy({ plan.statistics[$0].what == .nonFiniteCount && !plan.statistics[$0].isOwn })
        {
            late += sweep.statistics
            segment.measuring.removeLast()
        }
        plan.late += late
        return late
    }

    /// What the last sweep over a segment does to a block, with what is measured on the way.
    mutating func finalOperations(_ range: Range<Int>, measuring late: [Int]) -> [Plan.Operation] {
        var operations: [Plan.Operation] = []
        var position = range.lowerBound
        for statistic in late.sorted(by: { plan.statistics[$0].position < plan.statistics[$1].position }) {
            let next = plan.statistics[statistic].position
            operations += self.operations(Array(position..<next), factorsUpTo: range.upperBound, sweep: .max)
            operations.append(.measure(statistic: statistic, isOwn: false))
            plan.statistics[statistic].firstFactor = next
            position = next
        }
        return operations
            + self.operations(Array(position..<range.upperBound), factorsUpTo: range.upperBound, sweep: .max)
    }

    /// What a sweep does along a part of a path, with what it measures there.
    private mutating func fill(
        _ statistics: [Int], _ path: [Int], upTo end: Int, sweep: Int, in range: Range<Int>, isFixed: Bool
    ) -> [Plan.Operation] {
        let isTrue = statistics.filter { plan.statistics[$0].what.needsTrueGradient }
        let truePosition = isTrue.map { plan.statistics[$0].position }.max() ?? 0
        let fixed = isFixed ? end : max(fixedPoint(before: end, on: path, in: range), truePosition)
        var operations: [Plan.Operation] = []
        var position = Int.min
        for statistic in statistics {
            let next = plan.statistics[statistic].position
            operations += self.operations(
                path.filter { position <= $0 && $0 < next }, factorsUpTo: fixed, sweep: sweep)
            operations.append(.measure(statistic: statistic, isOwn: plan.statistics[statistic].isOwn))
            plan.statistics[statistic].firstFactor = min(fixed, next)
            position = next
        }
        return operations
            + self.operations(path.filter { position <= $0 && $0 < end }, factorsUpTo: fixed, sweep: sweep)
    }

    /// What some stations do to a block in a sweep, in order.
    func operations(_ some: [Int], factorsUpTo fixed: Int, sweep: Int) -> [Plan.Operation] {
        var operations: [Plan.Operation] = []
        for index in some {
            let station = stations[index]
            if passRounds[index] > 0, passRounds[index] < sweep {
                if let pass = plan.passes.firstIndex(where: { $0.station == index }) {
                    operations.append(.load(pass: pass))
                }
            } else if case .optimizer(let branch) = station.kind {
                let isRemembered = surroundings.branches[branch].contains { stations[$0].readsGradient }
                operations += (isRemembered ? [.rememberGradient(station: index)] : []) + [.direct(station: index)]
            } else if station.effect != .scaling {
                operations.append(.transform(station: index))
            } else if index < fixed, let run = plan.runs.firstIndex(where: { $0.lowerBound == index }) {
                operations.append(.scale(run: run))
            }
        }
        return operations
    }
}
