// How a step runs:
//
//     validate    refuse tensors, weights and loss scales that do not fit
//     begin       forget what the last step wrote down
//     choose      admit the micro-batch; if that closes the window: exchange, measure, prepare stages, check rates
//     perform     add to the window, or skip, or update in the last sweep
//     end         count, tell stages, tell observers
//
// Until it is chosen what to do nothing is written that lasts, so that an error leaves the engine as it was.

extension Engine {
    /// Carries out one step: takes in a micro-batch and, if that closes the window, updates.
    mutating func step(
        _ tensors: Tensors, weight: Double = 1, lossScale: Float? = nil, closesWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        try validate(tensors, weight: weight, lossScale: lossScale, closesWindow: closesWindow)
        begin(hasGradients: tensors.hasGradients)
        var (tensors, weight) = (tensors, weight)
        absence.isAbsent = tensors.isAbsent
        absence.haveResults = tensors.isOutOfPlace
        let before = accumulation?.window
        let action: StepAction
        do throws(DescentError) {
            action = try settle(closing: meetsOthers(closesWindow: closesWindow)) { (engine) throws(DescentError) in
                try engine.shareRows(&tensors, &weight)
                return try engine.chooseAction(tensors, weight: weight, closesWindow: closesWindow)
            }
        } catch {
            rollBack(to: before)
            throw error
        }
        return try perform(action, tensors)
    }

    /// Makes ready for a micro-batch, or for the end of a window without another.
    mutating func begin(hasGradients: Bool = true) {
        makeUnique()
        absence.isAbsent = []
        leaveOut([])
        accumulation?.sumIsWritten = false
        accumulation?.isSumSetAside = false
        let scale = chain.lossScale(of: plan.window.transforms)
        accumulation?.lossScale = scale
        for statistic in plan.late { measurements.clear(statistic) }
        reporter.begin(lossScale: chain.lossScale)
        // What stages before the accumulation are told without a micro-batch is of the last one.
        chain.resetFactors(from: hasGradients ? 0 : plan.window.transforms.lowerBound)
        sweeps.forgetRows()
    }

    /// Forgets a micro-batch that a stage has thrown for.
    private mutating func rollBack(to window: AccumulationWindow?) {
        reporter.restartHistograms()
        takeBackSum()
        // A stage that threw although it said it could not leaves a window that is full, and whole.
        if let window, accumulation?.sumIsWritten == false { accumulation?.window = window }
    }

    // MARK: Choose

    /// Chooses what becomes of a micro-batch.
    mutating func chooseAction(
        _ tensors: Tensors, weight: Double, closesWindow: Bool
    ) throws(DescentError) -> StepAction {
        let rejection = try admit(tensors, weight: weight)
        guard let accumulation else { return try chooseAction(tensors, ClosingWindow(weight: weight)) }
        var addition = !tensors.hasGradients || rejection != nil ? nil : accumulation.addition
        guard closesWindow || accumulation.isFull else { return .accumulate(addition, rejection: rejection) }
        let isWhole =
            addition != nil && accumulation.window.included == 1 && plan.microBatch?.transforms.isEmpty == true
        if isWhole { return try chooseAction(tensors, ClosingWindow()) }
        if plan.mayReopenWindow || !plan.window.isMeasured { addition?.destination = nil }
        return try chooseAction(tensors, ClosingWindow(addition: addition, factor: accumulation.closingFactor))
    }

    /// Chooses what becomes of a window.
    mutating func chooseAction(_ tensors: Tensors, _ closing: ClosingWindow) throws(DescentError) -> StepAction {
        var closing = closing
        leaveOut(isLeftOutOfWindow)
        if let reason = try exchangeWindow(tensors, &closing) { return .skip(reason, rest: rest(of: closing, reason)) }
        let invalidRate = prepareDrivers()
        let reason = try measure(plan.window, tensors, &closing)
        if plan.window.isMeasured { takeHistograms() }
        if let reason = reason ?? reasonOfOverflow(tensors, closing) ?? invalidRate {
            return .skip(reason, rest: rest(of: closing, reason))
        }
        return .update(closing)
    }

    /// How the last micro-batch of a window that is skipped is added, where stages remember what becomes part of it.
    ///
    /// What is not finite they are not to remember, because it would never leave them again.
    private func rest(of closing: ClosingWindow, _ reason: SkipReason) -> WindowAddition? {
        guard reason.code != .nonFinite, let microBatch = plan.microBatch, var addition = closing.addition,
            microBatch.transforms.contains(where: accesses.hasSlots)
        else { return nil }
        addition.destination = accumulation?.slot
        return addition
    }

    /// Looks up the rates of the step; gives the reason if one of them is no number.
    private mutating func prepareDrivers() -> SkipReason? {
        var reason: SkipReason?
        // A driver whose rates somebody shares would write them to memory of its own.
        if drivers.count == 1 { rates = [] }
        for index in drivers.indices {
            let problem = drivers[index].prepare(appliedSteps: counters.appliedSteps)
            reason = reason ?? problem
        }
        gatherRates()
        return reason
    }

    /// Takes the rates of each parameter from the driver of its branch.
    private mutating func gatherRates() {
        guard drivers.count > 1 else {
            rates = drivers.first?.rates.rates ?? []
            return
        }
        if rates.isEmpty { rates = drivers[0].rates.rates }
        for index in rates.indices {
            if let branch = owners.branches[index] { rates[index] = drivers[branch].rates.rates[index] }
        }
    }

    // MARK: Perform

    /// Does what has been chosen.
    ///
    /// - Throws: What a stage throws when it is told how the step ended, once everything else is done.
    mutating func perform(_ action: StepAction, _ tensors: Tensors) throws(DescentError) -> StepOutcome {
        switch action {
        case .accumulate(let addition, let rejection):
            if let addition { add(addition, tensors) }
            return tell(.accumulated(progress(rejection)))
        case .skip(let reason, let rest):
            if let rest { add(rest, tensors) }
            return try endSkip(reason)
        case .update(let closing):
            update(tensors, closing)
            return try endUpdate()
        }
    }

    /// Adds a micro-batch to the window.
    private mutating func add(_ addition: WindowAddition, _ tensors: Tensors) {
        chain.multiplyRunFactors()
        run(SweepProgram(addition: addition, checksSum: plan.checksInput), tensors)
    }

    /// Runs the last sweep, which updates parameters or stores gradients.
    private mutating func update(_ tensors: Tensors, _ closing: ClosingWindow) {
        reporter.noteNorms(plan.inputNorm, measurements, chain)
        reporter.noteRates(drivers, appliedSteps: counters.appliedSteps)
        if !counters.missedSteps.isEmpty { startFollowersOfNewcomers(tensors) }
        chain.prepareFollowers(appliedSteps: counters.appliedSteps, beginning: followerStarts.late)
        chain.multiplyRunFactors()
        let isMeasured = plan.window.isMeasured
        runLast(
            SweepProgram(
                operations: plan.last, end: plan.end, addition: closing.addition,
                windowFactor: closing.factor, makesHistograms: !isMeasured, runsBackwards: isMeasured,
                updates: !drivers.isEmpty), tensors)
        hasUpdatedRows = sharesRows
        if !passes.isEmpty { sweeps.keepSlots(of: passes) }
        if !isMeasured { takeHistograms() }
        if followerStarts.isPending { endFirstUpdate(tensors) }
        if sweeps.hasFrozen { copyFrozen(tensors) }
        noteChange()
    }

    /// Copies frozen parameters, or their gradients unless they are absent, to where the others' results are.
    private func copyFrozen(_ tensors: Tensors) {
        if let parameters = tensors.parameters, let updated = tensors.updatedParameters {
            sweeps.copyFrozen(parameters, to: updated)
        }
        guard tensors.isOutOfPlace, let gradients = tensors.gradients else { return }
        let isAbsent = tensors.isAbsent
        sweeps.runFrozen(gradients, output: tensors.output) { block in
            if isAbsent.isEmpty || !isAbsent[block.parameterIndex] { block.store() }
        }
    }

    /// Has what no sweep of the first update has reached begin with it.
    private mutating func endFirstUpdate(_ tensors: Tensors) {
        startAverageOfFrozen(tensors)
        let late = counters.appliedSteps == 0 ? nil : followerStarts.late
        if late?.isEmpty != true { startFollowersOfLeftOut(tensors, only: late) }
        followerStarts.noteUpdate()
    }

    // MARK: End

    /// Ends a step that was taken.
    private mutating func endUpdate() throws(DescentError) -> StepOutcome {
        counters.noteUpdate(leavingOut: absence.isLeftOut)
        let lookedBefore = !divergence.knowsParameters
        let diverged = divergedParameter()
        for statistic in plan.late { combineBlocks(of: statistic) }
        reporter.report.records.fillCounts { measurements.values($0) }
        let failure = chain.finish(
            nil, nonFinite: accumulation?.window.overflow, diverged: diverged, measurements.statistics)
        accumulation?.window.close()
        reporter.report.noteEnd(
            appliedSteps: counters.appliedSteps, skippedSteps: counters.skippedSteps, nextLossScale: chain.lossScale)
        let report = reporter.report
        let divergence = diverged.map { makeDivergence(of: $0, report, lookedBefore: lookedBefore) }
        let outcome = tell(divergence.map { .diverged($0) } ?? .applied(report))
        if let failure { throw failure }
        return outcome
    }

    /// Ends a step that was skipped.
    private mutating func endSkip(_ reason: SkipReason) throws(DescentError) -> StepOutcome {
        let nonFinite = reason.code == .nonFinite ? reason : accumulation?.window.overflow
        let counts = nonFinite != nil || reason.code == .overflow || reason.code == .nonFiniteSetting
        counters.noteSkip(isNonFinite: counts)
        let failure = chain.finish(reason, nonFinite: nonFinite, diverged: nil, measurements.statistics)
        accumulation?.window.close()
        let outcome = tell(.skipped(reason))
        if let failure { throw failure }
        if counts { try requireFewSkips(reason) }
        return outcome
    }

    private mutating func tell(_ outcome: StepOutcome) -> StepOutcome {
        reporter.tell(outcome, counters, lossScale: chain.lossScale)
    }
}
