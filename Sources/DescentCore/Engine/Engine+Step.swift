// How a step runs:
//
//     begin       forget what the last step wrote down
//     decide      admit the micro-batch; if that closes the window: exchange, measure, prepare stages, check rates
//     carry out   add to the window, or skip, or update in the last sweep
//     end         tell stages and observers
//
// Until it is decided nothing is written that lasts, so that an error leaves the engine as it was before the call.

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
    struct Closing {
        /// How the last micro-batch becomes part of the sum in every sweep; nil if it is already, or left out.
        var gathering: Gathering?
        /// What the sum is multiplied by; nil where the gradients themselves are the window.
        var factor: Double?
        /// Whether the first sweep has run, as gradients arrived.
        var isBegun = false
        /// The weight of the gradients, where nothing accumulates.
        var weight = 1.0
        /// Whether other processes have been given the window, as gradients arrived.
        var isContributed = false
    }

    /// What becomes of a micro-batch or a window.
    enum Decision {
        /// It becomes part of a window that stays open, unless it has already or is left out for a reason.
        case accumulate(Gathering?, rejection: SkipReason?)
        case skip(SkipReason)
        case update(Closing)
    }

    /// Carries out one step: takes in a micro-batch and, if that closes the window, updates.
    mutating func step(
        _ tensors: StepTensors, weight: Double, closesWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        try requireParameters(tensors)
        if let parameters = tensors.parameters { try requireFloat32(parameters) }
        beginStep()
        let before = window
        let decision: Decision
        do throws(DescentError) {
            decision = try decide(tensors, weight: weight, closesWindow: closesWindow)
        } catch {
            // A stage that threw although it said it could not leaves a window that is full, and whole.
            if !sumIsWritten { window = before }
            restartHistograms()
            throw error
        }
        return try carryOut(decision, tensors)
    }

    /// Makes ready for a micro-batch.
    mutating func beginStep() {
        makeUnique()
        sumIsWritten = false
        startHistograms()
        report.norms.removeAll(keepingCapacity: true)
        report.counts.removeAll(keepingCapacity: true)
        report.layerNorms.removeAll(keepingCapacity: true)
        report.lossScale = lossScale
        for index in stageFactors.indices { stageFactors[index].reset() }
        buffers.forgetRowMeans()
    }

    /// Decides what becomes of a micro-batch.
    mutating func decide(
        _ tensors: StepTensors, weight: Double, closesWindow: Bool
    ) throws(DescentError) -> Decision {
        guard accumulation != nil else { return try decide(tensors, Closing(weight: weight)) }
        let isGiven = tensors.gradients != nil
        let rejection = isGiven ? try admit(tensors, weight: weight) : nil
        var gathering = isGiven && rejection == nil ? gatheringIntoWindow() : nil
        guard closesWindow || isWindowFull else { return .accumulate(gathering, rejection: rejection) }
        let isWhole = gathering != nil && window.included == 1 && plan.microBatch?.stages.isEmpty == true
        if isWhole { return try decide(tensors, Closing()) }
        if plan.mayReopenWindow || plan.window.measuring.isEmpty { gathering?.destination = nil }
        return try decide(tensors, Closing(gathering: gathering, factor: closingFactor))
    }

    /// Decides what becomes of a window.
    mutating func decide(_ tensors: StepTensors, _ closing: Closing) throws(DescentError) -> Decision {
        var closing = closing
        if plan.exchanging != nil {
            if let reason = try exchange(tensors, &closing) { return .skip(reason) }
        } else if let reason = reasonNotToClose() {
            return .skip(reason)
        }
        let reason = try measure(plan.window, tensors, &closing)
        if !plan.window.measuring.isEmpty { takeHistograms() }
        if let reason = reason ?? reasonOfOverflow(tensors, closing) ?? reasonOfRates() { return .skip(reason) }
        return .update(closing)
    }

    /// Does what has been decided.
    ///
    /// - Throws: What a stage throws when it is told how the step ended, once everything else is done.
    mutating func carryOut(_ decision: Decision, _ tensors: StepTensors) throws(DescentError) -> StepOutcome {
        switch decision {
        case .accumulate(let gathering, let rejection):
            if let gathering {
                foldFactors()
                run(SweepProgram(gathering: gathering, checksSum: plan.checksInput), tensors)
            }
            return conclude(accumulating: rejection)
        case .skip(let reason): return try conclude(skipping: reason)
        case .update(let closing):
            update(tensors, closing)
            return try concludeUpdate()
        }
    }

    /// Runs the last sweep, which updates parameters or stores gradients.
    private mutating func update(_ tensors: StepTensors, _ closing: Closing) {
        noteNorms()
        report.learningRate = optimizer?.learningRate.value(at: appliedSteps) ?? 0
        foldFactors()
        let isMeasured = !plan.window.measuring.isEmpty
        run(
            SweepProgram(
                operations: plan.window.final, end: plan.end, gathering: closing.gathering,
                windowFactor: closing.factor, makesHistograms: !isMeasured, runsBackwards: isMeasured), tensors)
        if !isMeasured { takeHistograms() }
        if let proposal = plan.proposal { updateAsProposed(proposal, tensors) }
        if appliedSteps == 0 { startAverageOfFrozen(tensors) }
        noteChange()
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
    private mutating func updateAsProposed(_ proposal: (update: Int, parameter: Int), _ tensors: StepTensors) {
        combineBlocks(of: proposal.update)
        combineBlocks(of: proposal.parameter)
        if var proposing = optimizer as? any ProposingOptimizer {
            proposing.decide(
                updateNorms: measured[proposal.update].values, parameterNorms: measured[proposal.parameter].values)
            optimizers[0] = proposing
        }
        var tensors = tensors
        tensors.gradients = tensors.gradients ?? windowSlot.map { slots[$0] }
        run(
            SweepProgram(
                operations: [.discardGradient], end: plan.proposedEnd, runsBackwards: plan.window.measuring.isEmpty),
            tensors)
    }
}
