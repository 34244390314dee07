extension Engine {
    /// Runs a segment's measuring sweeps and prepares its stages; gives the reason if one of them objects.
    ///
    /// - Parameters:
    ///   - segment: The part of the chain.
    ///   - tensors: What there is to measure.
    ///   - gathering: How the micro-batch becomes part of the window in the first sweep.
    ///   - windowFactor: What the window's sum is multiplied by; nil where the gradients themselves are measured.
    ///   - isBegun: Whether the first sweep has run, as gradients arrived.
    /// - Returns: Why the step is to be skipped; nil if nothing speaks against it.
    /// - Throws: What a stage throws as it is prepared.
    mutating func measure(
        _ segment: Plan.Segment, _ tensors: StepTensors, gathering: Gathering?, windowFactor: Float? = nil,
        isBegun: Bool = false
    ) throws(DescentError) -> SkipReason? {
        var gathering = gathering
        if !isBegun, let reason = try prepare(segment.prepares) { return reason }
        for (index, sweep) in segment.measuring.enumerated() {
            if index > 0 || !isBegun {
                foldRuns()
                let makesHistograms = index == 0 && segment.isWindow
                run(
                    SweepProgram(
                        operations: sweep.operations, gathering: gathering, windowFactor: windowFactor,
                        keepsSlots: false, makesHistograms: makesHistograms), tensors)
            }
            gathering = nil
            for column in sweep.columns { combineBlocks(of: column) }
            for check in sweep.checks {
                let norms = measured[check.column].values
                if let parameter = norms.firstIndex(where: { !$0.isFinite }) {
                    return diagnose(parameter, check.stage, tensors, isWindow: windowFactor != nil)
                }
            }
            if let reason = try prepare(sweep.prepares) { return reason }
        }
        return nil
    }

    /// Prepares stages in order; gives the reason if one of them objects.
    mutating func prepare(_ stages: [Int]) throws(DescentError) -> SkipReason? {
        for stage in stages {
            if let reason = try prepare(stage) { return reason }
        }
        return nil
    }

    mutating func combineBlocks(of column: Int) {
        let what = plan.columns[column].what
        let offset = column * blocks.count
        var index = 0
        for parameter in 0..<layout.count {
            var combiner = what.combiner
            while index < blocks.count, blocks[index].parameterIndex == parameter {
                combiner.add(buffers.blockNorms[offset + index])
                index += 1
            }
            measured[column].values[parameter] = combiner.value
        }
        if plan.sharding != nil { measured[column].values = combinedShards(measured[column].values, what) }
    }

    /// What was measured of the whole, if this process has a part of the parameters.
    private func combinedShards(_ values: [Double], _ what: Requirement) -> [Double] {
        guard let index = plan.sharding, let stage = stages[index] as? any Sharding else { return values }
        let parts = stage.gather(values)
        return values.indices.map { index in
            var combiner = what.combiner
            for part in parts { combiner.add(part[index]) }
            return combiner.value
        }
    }

    private mutating func prepare(_ stage: Int) throws(DescentError) -> SkipReason? {
        let source = plan.sources[stage]
        multiplyFactors(before: stage)
        var factors = ScaleFactors()
        swap(&factors, &stageFactors[stage])
        var (norms, counts): ([NormRecord], [CountRecord]) = ([], [])
        swap(&norms, &report.norms)
        swap(&counts, &report.counts)
        var preparation = StepPreparation(
            layout: layout, appliedSteps: appliedSteps,
            incoming: GradientStatistics(
                measured: measured, columns: source, factors: incomingFactors, stage: stageNames[stage]),
            factors: factors, veto: nil, norms: norms, counts: counts, stage: stageNames[stage])
        factors = ScaleFactors()
        (norms, counts) = ([], [])
        if stage == plan.accumulating {
            try accumulators[0].prepare(&preparation)
        } else {
            try stages[stage].prepare(&preparation)
        }
        swap(&stageFactors[stage], &preparation.factors)
        swap(&report.norms, &preparation.norms)
        swap(&report.counts, &preparation.counts)
        return preparation.veto.map { SkipReason(.vetoed, stage: stageNames[stage], "\(stageNames[stage]): \($0)") }
    }

    /// Gathers what scaling stages before a stage have done since what it knows was measured.
    mutating func multiplyFactors(before stage: Int) {
        guard let column = plan.sources[stage].first else { return }
        for index in incomingFactors.indices { incomingFactors[index] = 1 }
        for stage in plan.columns[column].firstFactor..<stage {
            stageFactors[stage].multiply(into: &incomingFactors, from: 0, count: layout.count)
        }
    }

    /// Folds the factors of consecutive scaling stages into one for each parameter.
    mutating func foldRuns() {
        for run in plan.runs.indices {
            let start = run * layout.count
            for index in start..<start + layout.count { runFactors[index] = 1 }
            for stage in plan.runs[run] {
                stageFactors[stage].multiply(into: &runFactors, from: start, count: layout.count)
            }
        }
    }

    /// Says which parameter is not finite, and how.
    private mutating func diagnose(
        _ parameter: Int, _ stage: Int?, _ tensors: StepTensors, isWindow: Bool
    ) -> SkipReason {
        let name = layout[parameter].name
        let found = countNonFinite(parameter, tensors, isWindow: isWindow)
        let counts = combinedShards(
            [found.nan, found.infinite, layout[parameter].count].map(Double.init), .nonFiniteCount)
        let what =
            if counts[0] + counts[1] > 0 {
                "the gradient of \"\(name)\" holds \(Int(counts[0])) NaN and \(Int(counts[1])) infinite "
                    + "of \(Int(counts[2])) elements"
            } else {
                "the gradient of \"\(name)\" arrived finite and left the range of Float in the stages"
                    + (stage.map { " before \(stageNames[$0])" } ?? "")
            }
        return SkipReason(.nonFinite, parameter: name, stage: stage.map { stageNames[$0] }, what)
    }
}
