extension Engine {
    /// The tensors of one step.
    struct StepTensors {
        /// The micro-batch's gradients; nil when a window is closed without a further one.
        var gradients: Backend.Tensors?
        /// What the optimizer updates, or what stages may read; nil for a chain alone without parameters.
        var parameters: Backend.Tensors?
        /// Where a chain alone stores its result.
        var output: Backend.Tensors?
    }

    /// Carries out one step: takes in a micro-batch and, if that closes the window, updates.
    mutating func step(
        _ tensors: StepTensors, weight: Double, closesWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        try validateElementType(of: tensors.parameters)
        makeUnique()
        report.norms.removeAll(keepingCapacity: true)
        report.counts.removeAll(keepingCapacity: true)
        if tensors.parameters == nil, let stage = stages.first(where: { $0.requirements.contains(where: \.readsParameters) }) {
            throw DescentError(
                .missingParameter, stage: stage.name, "\(stage.name) looks at the parameters: hand them over with the gradients.")
        }
        report.lossScale = lossScale
        for index in stageFactors.indices { stageFactors[index].reset() }
        buffers.forgetRowMeans()
        guard plan.accumulating != nil else {
            return try finishWindow(tensors, gathering: nil)
        }
        return try accumulate(tensors, weight: weight, closesWindow: closesWindow)
    }

    private mutating func accumulate(
        _ tensors: StepTensors, weight: Double, closesWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        var rejection: SkipReason?
        if tensors.gradients != nil, let segment = plan.microBatch {
            withAccumulating { $0.admit(weight: weight) }
            rejection = try measure(segment, tensors, gathering: nil)
            if let rejection { withAccumulating { $0.reject(rejection) } }
        }
        let window = withAccumulating { stage in
            (
                received: stage.received, included: stage.included, length: stage.windowLength, factor: stage.factor,
                closingFactor: stage.closingFactor, spoiled: stage.spoiled
            )
        }
        guard let window else { preconditionFailure("a plan that accumulates without a stage that does") }
        let adds = tensors.gradients != nil && rejection == nil
        let gathering = adds ? Gathering(factor: window.factor, overwrites: window.included == 1) : nil

        guard closesWindow || window.received >= window.length else {
            if let gathering { gather(tensors, gathering) }
            return .accumulated(
                WindowProgress(
                    received: window.received, included: window.included, length: window.length, rejection: rejection))
        }
        if let spoiled = window.spoiled { return try conclude(skipping: spoiled) }
        guard window.included > 0, window.closingFactor.isFinite else {
            let reason = "no micro-batch of the window counts: each was left out or weighs 0"
            return try conclude(skipping: SkipReason(.emptyWindow, stage: stageNames[plan.accumulating ?? 0], reason))
        }
        let isWhole = adds && window.included == 1 && plan.microBatch?.stages.isEmpty == true
        if isWhole { return try finishWindow(tensors, gathering: nil) }
        return try finishWindow(tensors, gathering: gathering, windowFactor: window.closingFactor)
    }

    /// Measures, decides, and applies or skips.
    ///
    /// `windowFactor` is nil where the gradients themselves are the window.
    private mutating func finishWindow(
        _ tensors: StepTensors, gathering: Gathering?, windowFactor: Float? = nil
    ) throws(DescentError) -> StepOutcome {
        var gathering = gathering
        if let reason = try measure(plan.window, tensors, gathering: gathering, windowFactor: windowFactor) {
            return try conclude(skipping: reason)
        }
        if !plan.window.measuring.isEmpty { gathering = nil }
        optimizer?.prepare(appliedSteps: appliedSteps)
        rates?.resolve(appliedSteps: appliedSteps)
        report.learningRate = optimizer?.learningRate.value(at: appliedSteps) ?? 0
        foldRuns()
        run(
            SweepProgram(
                operations: plan.window.final, end: plan.end(isChain: optimizer == nil, copies: parameterCopy != nil), gathering: gathering,
                windowFactor: windowFactor, keepsSlots: true, runsBackwards: !plan.window.measuring.isEmpty),
            tensors)
        if let proposal = plan.proposal { updateAsProposed(proposal, tensors, windowFactor: windowFactor) }
        appliedSteps += 1
        report.appliedSteps = appliedSteps
        try finishStages(nil)
        return .applied(report)
    }

    /// Lets an optimizer that proposes decide, and moves the parameters.
    private mutating func updateAsProposed(
        _ proposal: (update: Int, parameter: Int), _ tensors: StepTensors, windowFactor: Float?
    ) {
        combineBlocks(of: proposal.update)
        combineBlocks(of: proposal.parameter)
        if var proposing = optimizer as? any ProposingOptimizer {
            proposing.decide(
                updateNorms: measured[proposal.update].values, parameterNorms: measured[proposal.parameter].values)
            optimizer = proposing
        }
        run(
            SweepProgram(
                operations: [.discardGradient], end: parameterCopy == nil ? [.update] : [.update, .copyParameters],
                gathering: nil, windowFactor: windowFactor,
                keepsSlots: true, runsBackwards: plan.window.measuring.isEmpty),
            tensors)
    }

    private mutating func conclude(skipping reason: SkipReason) throws(DescentError) -> StepOutcome {
        skippedSteps += 1
        try finishStages(reason)
        return .skipped(reason)
    }

    /// Tells all stages how the step ended; throws what the first of them throws, after the last has been told.
    private mutating func finishStages(_ reason: SkipReason?) throws(DescentError) {
        var failure: DescentError?
        for index in stages.indices {
            multiplyFactors(before: index)
            let conclusion = StepConclusion(
                skipReason: reason,
                incoming: GradientStatistics(
                    measured: measured, columns: plan.sources[index], factors: incomingFactors))
            do {
                try stages[index].finish(conclusion)
            } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    private mutating func gather(_ tensors: StepTensors, _ gathering: Gathering) {
        foldRuns()
        run(
            SweepProgram(
                operations: [], end: [], gathering: gathering, windowFactor: nil, keepsSlots: true,
                runsBackwards: false),
            tensors)
    }

    // MARK: Measuring

    /// Runs a segment's measuring sweeps and prepares its stages; gives the reason if one of them objects.
    private mutating func measure(
        _ segment: Plan.Segment, _ tensors: StepTensors, gathering: Gathering?, windowFactor: Float? = nil
    ) throws(DescentError) -> SkipReason? {
        var gathering = gathering
        for stage in segment.prepares {
            if let reason = try prepare(stage) { return reason }
        }
        for sweep in segment.measuring {
            foldRuns()
            run(
                SweepProgram(
                    operations: sweep.operations, end: [], gathering: gathering, windowFactor: windowFactor,
                    keepsSlots: false, runsBackwards: false),
                tensors)
            gathering = nil
            for column in sweep.columns { combineBlocks(of: column) }
            for check in sweep.checks {
                let norms = measured[check.column].values
                if let parameter = norms.firstIndex(where: { !$0.isFinite }) {
                    return diagnose(parameter, check.stage, tensors, isWindow: windowFactor != nil)
                }
            }
            for stage in sweep.prepares {
                if let reason = try prepare(stage) { return reason }
            }
        }
        return nil
    }

    private mutating func combineBlocks(of column: Int) {
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
            incoming: GradientStatistics(measured: measured, columns: source, factors: incomingFactors),
            factors: factors, veto: nil, norms: norms, counts: counts, stage: stageNames[stage])
        factors = ScaleFactors()
        (norms, counts) = ([], [])
        try stages[stage].prepare(&preparation)
        swap(&stageFactors[stage], &preparation.factors)
        swap(&report.norms, &preparation.norms)
        swap(&report.counts, &preparation.counts)
        return preparation.veto.map { SkipReason(.vetoed, stage: stageNames[stage], "\(stageNames[stage]): \($0)") }
    }

    /// Gathers what scaling stages before a stage have done since what it knows was measured.
    private mutating func multiplyFactors(before stage: Int) {
        guard let column = plan.sources[stage].first else { return }
        for index in incomingFactors.indices { incomingFactors[index] = 1 }
        for stage in plan.columns[column].firstFactor..<stage { stageFactors[stage].multiply(into: &incomingFactors, from: 0, count: layout.count) }
    }

    /// Folds the factors of consecutive scaling stages into one for each parameter.
    private mutating func foldRuns() {
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
        let counts = countNonFinite(parameter, tensors, isWindow: isWindow)
        let what =
            if counts.nan + counts.infinite > 0 {
                "the gradient of \"\(name)\" holds \(counts.nan) NaN and \(counts.infinite) infinite "
                    + "of \(layout[parameter].count) elements"
            } else {
                "the gradient of \"\(name)\" arrived finite and left the range of Float in the stages"
                    + (stage.map { " before \(stageNames[$0])" } ?? "")
            }
        return SkipReason(.nonFinite, parameter: name, stage: stage.map { stageNames[$0] }, what)
    }
}
