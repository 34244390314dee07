extension Engine {
    /// Runs a segment's measuring sweeps and prepares its stages; gives the reason if one of them objects.
    ///
    /// - Parameters:
    ///   - segment: The part of the chain.
    ///   - tensors: What there is to measure.
    ///   - closing: What is known of the window, or that a micro-batch is measured by itself; it learns that the sum has
    ///     been written.
    /// - Returns: Why the step is to be skipped; nil if nothing speaks against it.
    /// - Throws: What a stage throws as it is prepared.
    mutating func measure(
        _ segment: Plan.Segment, _ tensors: StepTensors, _ closing: inout Closing
    ) throws(DescentError) -> SkipReason? {
        if !closing.isBegun, let reason = try prepare(segment.prepares) { return reason }
        for (index, sweep) in segment.measuring.enumerated() {
            if index > 0 || !closing.isBegun {
                foldFactors()
                run(
                    SweepProgram(
                        operations: sweep.operations, gathering: closing.gathering, windowFactor: closing.factor,
                        keepsSlots: false, makesHistograms: index == 0 && segment.isWindow), tensors)
                if closing.gathering?.destination != nil {
                    closing.gathering = nil
                    sumIsWritten = true
                }
            }
            for column in sweep.columns { combineBlocks(of: column) }
            for check in sweep.checks {
                let norms = measured[check.column].values
                if let parameter = norms.firstIndex(where: { !$0.isFinite }) {
                    return diagnose(parameter, check.stage, tensors, closing)
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
        multiplyFactors(before: stage)
        var factors = ScaleFactors()
        swap(&factors, &stageFactors[stage])
        // A step that a stage has thrown out of may be tried again.
        factors.reset()
        var (norms, counts): ([NormRecord], [CountRecord]) = ([], [])
        swap(&norms, &report.norms)
        swap(&counts, &report.counts)
        var preparation = StepPreparation(
            layout: layout, appliedSteps: appliedSteps,
            incoming: GradientStatistics(
                measured: measured, columns: plan.sources[stage], factors: incomingFactors, selection: unfrozen,
                stage: stageNames[stage]),
            factors: factors, veto: nil, norms: norms, counts: counts, stage: stageNames[stage])
        factors = ScaleFactors()
        (norms, counts) = ([], [])
        defer {
            swap(&stageFactors[stage], &preparation.factors)
            swap(&report.norms, &preparation.norms)
            swap(&report.counts, &preparation.counts)
        }
        try stages[stage].prepare(&preparation)
        if let veto = preparation.veto {
            return SkipReason(.vetoed, stage: stageNames[stage], "\(stageNames[stage]): \(veto)")
        }
        guard plan.checksFactors, !preparation.factors.isFinite else { return nil }
        return SkipReason(
            .nonFiniteSetting, stage: stageNames[stage],
            "\(stageNames[stage]) multiplies by \(preparation.factors.firstNonFinite) at step \(appliedSteps + 1)")
    }

    /// Gathers what scaling stages before a stage have done since what it knows was measured.
    mutating func multiplyFactors(before stage: Int) {
        guard let column = plan.sources[stage].first else { return }
        for index in incomingFactors.indices { incomingFactors[index] = 1 }
        for stage in plan.columns[column].firstFactor..<stage {
            stageFactors[stage].multiply(into: &incomingFactors, from: 0, count: layout.count)
        }
    }

    /// Makes one factor for each parameter of those of consecutive scaling stages.
    mutating func foldFactors() {
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
        _ parameter: Int, _ stage: Int?, _ tensors: StepTensors, _ closing: Closing
    ) -> SkipReason {
        let name = layout[parameter].name
        let found = countNonFinite(parameter, tensors, closing)
        let counts = combinedShards(
            [found.nan, found.infinite, layout[parameter].count].map(Double.init), .nonFiniteCount)
        let isNotFinite = counts[0] + counts[1] > 0
        // Of the sums before this micro-batch each was finite.
        let isLast = isNotFinite && accumulation != nil && plan.exchanging == nil && plan.checksInput
        let what =
            if isNotFinite {
                "the gradient of \"\(name)\" holds \(Int(counts[0])) NaN and \(Int(counts[1])) infinite "
                    + "of \(Int(counts[2])) elements" + (isLast ? ", since \(microBatchName)" : "")
            } else {
                "the gradient of \"\(name)\" arrived finite and left the range of Float in the stages"
                    + (stage.map { " before \(stageNames[$0])" } ?? "")
            }
        // A smaller loss scale helps only what stands before it is undone.
        let isScaled = stages.indices.contains { $0 >= stage ?? 0 && stages[$0] is any LossScaling }
        return SkipReason(
            isNotFinite || isScaled ? .nonFinite : .overflow, parameter: name, stage: stage.map { stageNames[$0] },
            microBatch: isLast ? window.received : nil, what)
    }
}
