extension Engine {
    /// Runs a segment's measuring sweeps and prepares its stages; gives a reason to skip if there is one.
    ///
    /// - Parameters:
    ///   - segment: The part of the chain.
    ///   - tensors: What there is to measure.
    ///   - closing: What is known of the window, or that a micro-batch is measured by itself; it learns that the sum has
    ///     been written.
    /// - Returns: Why the step is to be skipped; nil if there is no reason.
    /// - Throws: What a stage throws as it is prepared.
    mutating func measure(
        _ segment: Plan.Segment, _ tensors: Tensors, _ closing: inout ClosingWindow
    ) throws(DescentError) -> SkipReason? {
        if !closing.isBegun, let reason = try prepare(segment.prepares) { return reason }
        var isFirst = true
        for (index, sweep) in segment.measuring.enumerated() {
            if index > 0 || !closing.isBegun {
                if !sweep.statistics.isEmpty {
                    measure(sweep, tensors, &closing, makesHistograms: isFirst && segment.isWindow)
                }
            }
            if !sweep.statistics.isEmpty { isFirst = false }
            for statistic in sweep.statistics { combineBlocks(of: statistic) }
            for check in sweep.checks {
                if let parameter = measurements.firstNonFinite(check.statistic) {
                    return diagnose(parameter, check.stage, tensors, closing)
                }
            }
            for pass in sweep.passes { try run(pass, tensors, closing) }
            if let reason = try prepare(sweep.prepares) { return reason }
        }
        return nil
    }

    /// Runs one measuring sweep.
    private mutating func measure(
        _ sweep: Plan.Measuring, _ tensors: Tensors, _ closing: inout ClosingWindow, makesHistograms: Bool
    ) {
        chain.multiplyRunFactors()
        run(
            SweepProgram(
                operations: sweep.operations, addition: closing.addition, windowFactor: closing.factor,
                keepsSlots: false, makesHistograms: makesHistograms), tensors)
        guard closing.addition?.destination != nil else { return }
        closing.addition = nil
        accumulation?.sumIsWritten = true
    }

    /// Prepares stations in order; gives the reason if one of them has one to skip the step.
    mutating func prepare(_ stations: [Int]) throws(DescentError) -> SkipReason? {
        for station in stations {
            let reason = try chain.prepare(
                station, measurements.statistics, counters, &reporter.report,
                checksFactors: plan.checksFactors)
            if let reason { return reason }
        }
        return nil
    }

    mutating func combineBlocks(of statistic: Int) {
        measurements.combine(statistic, sweeps.buffers, sharesRows ? exchange : nil, leavingOut: absence.isLeftOut)
    }

    /// Says which parameter is not finite, and how.
    private func diagnose(_ parameter: Int, _ stage: Int?, _ tensors: Tensors, _ closing: ClosingWindow) -> SkipReason {
        let name = layout[parameter].name
        let program = SweepProgram(addition: closing.addition, windowFactor: closing.factor, keepsSlots: false)
        let found = sweeps.countNonFinite(parameter, BlockWork(self, program), program, tensors)
        var counts = [found.nan, found.infinite].map(Double.init)
        if sharesRows, let exchange {
            counts = Requirement.nonFiniteCount.combined(counts, over: exchange)
        }
        let isNotFinite = counts[0] + counts[1] > 0
        // Of the sums before this micro-batch each was finite.
        let last = isNotFinite && !exchangesGradients && plan.checksInput ? accumulation : nil
        let what =
            if isNotFinite {
                "the gradient of \"\(name)\" holds \(Int(counts[0])) NaN and \(Int(counts[1])) infinite "
                    + "of \(layout[parameter].count) elements" + (last.map { ", since \($0.microBatchName)" } ?? "")
            } else {
                "the gradient of \"\(name)\" arrived finite and left the range of Float in the stages"
                    + (stage.map { " before \(chain.stations[$0].name)" } ?? "")
            }
        // A smaller loss scale helps only what stands before it is undone.
        return SkipReason(
            isNotFinite || chain.undoesLossScale(from: stage ?? 0) ? .nonFinite : .overflow, parameter: name,
            stage: stage.map { chain.stations[$0].name }, microBatch: last?.window.received, what)
    }

    // MARK: The update

    /// Why an update would not be what the gradients say, because factors take them out of Float's range.
    ///
    /// A norm that was measured, times the factors that follow it, bounds every element. Only where that bound is beyond
    /// Float's range does it take a sweep to tell.
    mutating func reasonOfOverflow(_ tensors: Tensors, _ closing: ClosingWindow) -> SkipReason? {
        guard plan.checksResult, mayOverflow else { return nil }
        chain.multiplyRunFactors()
        runLast(
            SweepProgram(
                operations: plan.window.final + [.checkGradient], addition: closing.addition,
                windowFactor: closing.factor, keepsSlots: false), tensors)
        guard let parameter = firstOfAll(sweeps.firstFlagged(.isNotFinite)) else { return nil }
        let (name, stage) = (layout[parameter].name, chain.largestFactor(of: parameter))
        return SkipReason(
            .overflow, parameter: name, stage: stage,
            "the gradient of \"\(name)\" arrived finite and leaves the range of Float"
                + (stage.map { " because of \($0)" } ?? " in the chain"))
    }

    private var mayOverflow: Bool {
        guard let statistic = plan.boundingStatistic else { return false }
        let bound = chain.bound(measurements.values(statistic).max() ?? 0, from: statistic)
        return !(bound <= Double(Float.greatestFiniteMagnitude) * (1 - 0x1p-20))
    }

    /// Makes the averages of frozen parameters what they are, and will be.
    func startAverageOfFrozen(_ tensors: Tensors) {
        // The first optimizer's average has them.
        guard let slot = slotTable.parameterAverages.first ?? nil, let parameters = tensors.parameters else { return }
        let division = design.division
        sweeps.runFrozen(parameters) { block in
            guard division?.own[block.parameterIndex].contains(block.firstRow) ?? true else { return }
            block.slotAccess = SlotAccess(first: slot, count: 1)
            block.blendParameters(into: 0, weight: 1, replacing: false)
        }
    }

    /// Notes how far the parameters have moved, if that was asked for.
    mutating func noteChange() {
        guard let change = plan.change else { return }
        combineBlocks(of: change.update)
        combineBlocks(of: change.parameter)
        reporter.noteChange(update: measurements.norm(change.update), parameters: measurements.norm(change.parameter))
    }

    /// The first parameter that the update, or a chain's result, has made NaN or infinite, by its name; nil if none.
    mutating func divergedParameter() -> String? {
        guard plan.checksResult else { return nil }
        let own = divergence.firstDiverged(
            sweeps.buffers, sweeps.blockRanges, lasts: !drivers.isEmpty, leavingOut: absence.isLeftOut)
        return firstOfAll(own).map { layout[$0].name }
    }

    /// Says what made a parameter, or a chain's result, NaN or infinite.
    ///
    /// - Parameters:
    ///   - name: The parameter.
    ///   - report: What the step was like.
    ///   - lookedBefore: Whether the parameters were found finite right before the update, and not only by the step before.
    /// - Returns: What the outcome tells.
    func makeDivergence(of name: String, _ report: StepReport, lookedBefore: Bool) -> Divergence {
        let (step, quoted) = (report.appliedSteps, name.quotedBriefly)
        guard !drivers.isEmpty else {
            let reader = chain.readerOfParameters.map {
                ", and see whether the parameters, which \($0) looks at, are finite"
            }
            return Divergence(
                name, report,
                "step \(step) made the gradient of \(quoted) NaN or infinite, which arrived finite; do not update with it"
                    + (reader ?? ""))
        }
        let otherCause =
            ". Or it was so before the step, if anything else has changed \(quoted) since the last one: "
            + "allSatisfy(\\.isFinite) on its elements before each step tells"
        return Divergence(
            name, report,
            "step \(step) made \(quoted) NaN or infinite, from gradients that were finite; go back to a checkpoint and "
                + "lower the learning rate\(lookedBefore ? "" : otherCause)")
    }
}
