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

    /// What is known of a window when it is about to be closed.
    struct Window {
        /// How the last micro-batch becomes part of the sum, in the first sweep; nil if it is already, or left out.
        var gathering: Gathering?
        /// What the sum is multiplied by; nil where the gradients themselves are the window.
        var factor: Float?
        /// Whether the first sweep has run, as gradients arrived.
        var isBegun = false
        /// The weight of the gradients, where nothing accumulates.
        var weight = 1.0
        /// Whether other processes have been given the window, as gradients arrived.
        var isContributed = false
    }

    /// Carries out one step: takes in a micro-batch and, if that closes the window, updates.
    mutating func step(
        _ tensors: StepTensors, weight: Double, closesWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        try requireParameters(tensors)
        if let parameters = tensors.parameters { try requireFloat32(parameters) }
        beginStep()
        guard plan.accumulating != nil else { return try finishWindow(tensors, Window(weight: weight)) }
        return try accumulate(tensors, weight: weight, closesWindow: closesWindow)
    }

    /// Makes ready for a micro-batch.
    mutating func beginStep() {
        makeUnique()
        report.norms.removeAll(keepingCapacity: true)
        report.counts.removeAll(keepingCapacity: true)
        report.layerNorms.removeAll(keepingCapacity: true)
        report.lossScale = lossScale
        for index in stageFactors.indices { stageFactors[index].reset() }
        buffers.forgetRowMeans()
    }

    private mutating func accumulate(
        _ tensors: StepTensors, weight: Double, closesWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        var rejection: SkipReason?
        if tensors.gradients != nil, let segment = plan.microBatch {
            accumulators[0].admit(weight: weight)
            rejection = try measure(segment, tensors, gathering: nil)
            if let rejection { accumulators[0].reject(rejection) }
        }
        let adds = tensors.gradients != nil && rejection == nil
        let gathering = adds ? gatheringIntoWindow() : nil
        guard closesWindow || isWindowFull else {
            if let gathering {
                foldRuns()
                run(SweepProgram(gathering: gathering), tensors)
            }
            return accumulated(rejection: rejection)
        }
        let isWhole = gathering?.overwrites == true && plan.microBatch?.stages.isEmpty == true
        if isWhole { return try finishWindow(tensors, Window()) }
        return try finishWindow(tensors, Window(gathering: gathering, factor: closingFactor))
    }

    /// Measures, decides, and applies or skips.
    mutating func finishWindow(_ tensors: StepTensors, _ window: Window) throws(DescentError) -> StepOutcome {
        var window = window
        let objection = plan.exchanging == nil ? reasonNotToClose() : try exchange(tensors, &window)
        if let objection { return try conclude(skipping: objection) }
        let isMeasured = !plan.window.measuring.isEmpty
        let reason = try measure(
            plan.window, tensors, gathering: window.gathering, windowFactor: window.factor, isBegun: window.isBegun)
        if isMeasured { takeHistograms() }
        if let reason { return try conclude(skipping: reason) }
        noteNorms()
        for index in optimizers.indices { optimizers[index].prepare(appliedSteps: appliedSteps) }
        rates?.resolve(appliedSteps: appliedSteps)
        report.learningRate = optimizer?.learningRate.value(at: appliedSteps) ?? 0
        foldRuns()
        run(
            SweepProgram(
                operations: plan.window.final, end: plan.end, gathering: isMeasured ? nil : window.gathering,
                windowFactor: window.factor, makesHistograms: !isMeasured, runsBackwards: isMeasured), tensors)
        if !isMeasured { takeHistograms() }
        if let proposal = plan.proposal { updateAsProposed(proposal, tensors, windowFactor: window.factor) }
        if appliedSteps == 0 { startAverageOfFrozen(tensors) }
        noteChange()
        appliedSteps += 1
        nonFiniteInARow = 0
        try finishStages(nil)
        report.appliedSteps = appliedSteps
        report.skippedSteps = skippedSteps
        report.nextLossScale = lossScale
        return tell(.applied(report))
    }

    /// Makes the average of frozen parameters what they are, and will be.
    private func startAverageOfFrozen(_ tensors: StepTensors) {
        guard let averaging = optimizer as? any AveragingOptimizer, let parameters = tensors.parameters else { return }
        let access = accesses.ofOptimizer
        runFrozen(parameters) { block in
            block.slotAccess = access
            averaging.startAverage(of: &block)
        }
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
            optimizers[0] = proposing
        }
        run(
            SweepProgram(
                operations: [.discardGradient], end: plan.proposedEnd, windowFactor: windowFactor,
                runsBackwards: plan.window.measuring.isEmpty), tensors)
    }

    /// Skips a step.
    mutating func conclude(skipping reason: SkipReason) throws(DescentError) -> StepOutcome {
        skippedSteps += 1
        try finishStages(reason)
        let outcome = tell(.skipped(reason))
        guard reason.code == .nonFinite else { return outcome }
        nonFiniteInARow += 1
        if let nonFiniteLimit, nonFiniteInARow > nonFiniteLimit {
            throw DescentError(
                .tooManySkips, parameter: reason.parameter,
                "\(nonFiniteInARow) steps in a row were skipped, the last because \(reason). The model does not recover by "
                    + "itself: go back to a checkpoint, lower the learning rate, or clip.")
        }
        return outcome
    }

    /// Tells all stages how the step ended; throws what the first of them throws, after the last has been told.
    private mutating func finishStages(_ reason: SkipReason?) throws(DescentError) {
        var failure: DescentError?
        for index in stages.indices {
            multiplyFactors(before: index)
            let conclusion = StepConclusion(
                skipReason: reason,
                incoming: GradientStatistics(
                    measured: measured, columns: plan.sources[index], factors: incomingFactors,
                    stage: stageNames[index]))
            do {
                if index == plan.accumulating {
                    try accumulators[0].finish(conclusion)
                } else {
                    try stages[index].finish(conclusion)
                }
            } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }
}
