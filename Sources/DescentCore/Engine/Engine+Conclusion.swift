// How a step ends: counters, stages and observers are told, in this order, and errors come last.

extension Engine {
    /// Ends a step that was taken.
    mutating func concludeUpdate() throws(DescentError) -> StepOutcome {
        appliedSteps += 1
        skipsInARow = 0
        let divergence = findDivergence()
        let failure = finishStages(nil, nonFinite: window.overflow, divergence: divergence)
        report.appliedSteps = appliedSteps
        report.skippedSteps = skippedSteps
        report.nextLossScale = lossScale
        let outcome = tell(divergence.map { .diverged(Divergence($0, report)) } ?? .applied(report))
        if let failure { throw failure }
        return outcome
    }

    /// Skips a step.
    mutating func conclude(skipping reason: SkipReason) throws(DescentError) -> StepOutcome {
        skippedSteps += 1
        let nonFinite = reason.code == .nonFinite ? reason : window.overflow
        let failure = finishStages(reason, nonFinite: nonFinite, divergence: nil)
        let counts = nonFinite != nil || reason.code == .overflow || reason.code == .nonFiniteSetting
        if counts { skipsInARow += 1 }
        let outcome = tell(.skipped(reason))
        if let failure { throw failure }
        guard counts, let skipLimit, skipsInARow > skipLimit else { return outcome }
        throw DescentError(
            .tooManySkips, parameter: reason.parameter,
            "\(skipsInARow) steps in a row were skipped, the last because \(reason). The model does not recover by itself: "
                + "go back to a checkpoint, lower the learning rate, or clip.")
    }

    /// Tells all stages how the step ended, and empties the window.
    ///
    /// - Returns: What the first of them throws, after the last has been told.
    private mutating func finishStages(
        _ reason: SkipReason?, nonFinite: SkipReason?, divergence: String?
    ) -> DescentError? {
        var failure: DescentError?
        for index in stages.indices {
            multiplyFactors(before: index)
            let conclusion = StepConclusion(
                skipReason: reason, nonFiniteReason: nonFinite, divergedParameter: divergence,
                incoming: GradientStatistics(
                    measured: measured, columns: plan.sources[index], factors: incomingFactors,
                    selection: unfrozen, stage: stageNames[index]))
            do throws(DescentError) { try stages[index].finish(conclusion) } catch { failure = failure ?? error }
        }
        window = AccumulationWindow()
        return failure
    }

    /// The first parameter that the update, or a chain's result, has made NaN or infinite; nil if none.
    ///
    /// A parameter that was not finite before does not count.
    private mutating func findDivergence() -> String? {
        guard plan.checksResult else { return nil }
        defer { knowsParameters = !optimizers.isEmpty }
        guard buffers.hasFlags || wasNotFinite.contains(true) else { return nil }
        var found: Int?
        for (parameter, range) in blockRanges.enumerated() where !range.isEmpty {
            let before = range.contains { buffers.flags[$0].contains(.wasNotFinite) }
            let after = range.contains { buffers.flags[$0].contains(.isNotFinite) }
            if after, !before, !wasNotFinite[parameter], found == nil { found = parameter }
            wasNotFinite[parameter] = after && !optimizers.isEmpty
        }
        return found.map { layout[$0].name }
    }
}
