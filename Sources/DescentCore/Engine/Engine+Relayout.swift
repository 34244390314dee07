// How an engine goes on with other parameters.

extension Engine {
    /// Goes on with other parameters, of which those that it knows keep all that is remembered of them.
    ///
    /// - Throws: ``DescentError`` with code `openWindow`, and what building an engine throws; this one is as it was then.
    mutating func relayout(to layout: ParameterLayout) throws(DescentError) {
        let state = try state
        if sharesRows {
            throw DescentError(
                .invalidSetting,
                "Rows are shared with other processes, which would have to move what they keep to each other. Save a "
                    + "checkpoint, have one process alone resume it, relayout and save, and resume the job from that.")
        }
        if let accumulation, accumulation.window.isOpen {
            throw DescentError(
                .openWindow, stage: accumulation.name,
                "\(accumulation.window.received) of \(accumulation.settings.length) micro-batches of a window have been "
                    + "received, of the parameters as they were. Flush before the parameters become others.")
        }
        let relaid = try state.relaid(to: layout, sweeps.backend.makeTensors)
        var resumption = try Resumption(relaid, for: layout, kinds: composition.kinds, .sameStages)
        resumption.formerLayout = self.layout
        var changed = try Engine(
            sweeps.backend, layout, connected(composition), configuration, resuming: relaid, resumption)
        changed.changedSettings = changedSettings
        changed.reporter.observers = reporter.observers
        self = changed
    }

    /// Notes that parameters which an optimizer takes over, where nothing was saved of them, have had no update yet.
    ///
    /// They were frozen, or another optimizer's. What is saved of frozen parameters is their average alone.
    mutating func countNewcomers(_ resumption: Resumption<Backend.Tensors>) {
        guard counters.appliedSteps > 0 else { return }
        var isNew = [Bool](repeating: false, count: layout.count)
        for branch in elements.branches.indices {
            let position = elements.componentPosition(ofBranch: branch)
            for component in position...position + elements.branches[branch].branch.stages.count {
                for slot in slotTable.ofComponents[component] where slotTable.parameterAverages[branch] != slot {
                    guard let saved = resumption.slot(slot, of: slotTable)?.whole else { continue }
                    for parameter in layout.indices where slotTable.wholeLayouts[slot][parameter].count > 0 {
                        if saved[parameter].count == 0 { isNew[parameter] = true }
                    }
                }
            }
        }
        counters.noteNewcomers(isNew)
    }

    /// Has followers and averages start at parameters that have had no update, though others have.
    mutating func startFollowersOfNewcomers(_ tensors: Tensors) {
        let (missed, applied) = (counters.missedSteps, counters.appliedSteps)
        guard applied > 0, missed.contains(applied), let parameters = tensors.parameters else { return }
        chain.prepareFollowers(appliedSteps: 0)
        let work = BlockWork(self, SweepProgram())
        for parameter in layout.indices where missed[parameter] == applied && chain.takesPart(parameter) {
            startFollowers(of: parameter, parameters, work)
        }
    }

    /// Has followers and the average start at what a parameter is.
    func startFollowers(of parameter: Int, _ parameters: Backend.Tensors, _ work: borrowing BlockWork) {
        let average = owners.branches[parameter].flatMap { slotTable.parameterAverages[$0] }
        sweeps.run(over: parameter, parameters) { block in
            work.startFollowers(&block)
            guard let average else { return }
            block.slotAccess = SlotAccess(first: average, count: 1)
            block.blendParameters(into: 0, weight: 1, replacing: false)
        }
    }
}
