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
    /// They were frozen, or another optimizer's; or the optimizer itself starts afresh, in front of followers that may go on.
    mutating func countNewcomers(_ resumption: Resumption<Backend.Tensors>) {
        guard counters.appliedSteps > 0 else { return }
        var isNew = [Bool](repeating: false, count: layout.count)
        var isFollowed = isNew
        for (branch, elements) in elements.branches.enumerated() {
            let position = self.elements.componentPosition(ofBranch: branch)
            var late: [Int] = []
            for (follower, element) in zip(chain.branchPlaces[branch].followers, elements.followers) {
                let component = position + 1 + element.position
                guard !hasBegun(component, ofBranch: branch, resumption) else { continue }
                followerStarts.begin(follower)
                late.append(component)
            }
            for component in position...position + elements.branch.stages.count where !late.contains(component) {
                for slot in slotTable.ofComponents[component] {
                    guard let saved = resumption.slot(slot, of: slotTable)?.whole else { continue }
                    for parameter in layout.indices where owners.branches[parameter] == branch {
                        let isKept = slotTable.wholeLayouts[slot][parameter].count > 0
                        if isKept, saved[parameter].count == 0 { isNew[parameter] = true }
                    }
                }
            }
            guard resumption.saved[position] == nil else { continue }
            for parameter in layout.indices where owners.branches[parameter] == branch {
                isFollowed[parameter] = !isNew[parameter] && counters.hasUpdated(parameter)
            }
        }
        followerStarts.keep(isFollowed)
        counters.noteNewcomers(zip(isNew, isFollowed).map { $0 || $1 })
    }

    /// Whether anything was saved of what a follower keeps of its branch's parameters.
    private func hasBegun(_ component: Int, ofBranch branch: Int, _ resumption: Resumption<Backend.Tensors>) -> Bool {
        guard resumption.saved[component] != nil else { return false }
        let own = layout.indices.filter { owners.branches[$0] == branch && layout[$0].count > 0 }
        let slots = slotTable.ofComponents[component]
        return own.isEmpty || slots.isEmpty
            || slots.contains { slot in
                guard let saved = resumption.slot(slot, of: slotTable)?.whole else { return true }
                return own.contains { saved[$0].count > 0 }
            }
    }

    /// Has followers and averages start at parameters that have had no update, though others have.
    mutating func startFollowersOfNewcomers(_ tensors: Tensors) {
        let (missed, applied) = (counters.missedSteps, counters.appliedSteps)
        guard applied > 0, missed.contains(applied), let parameters = tensors.parameters else { return }
        chain.prepareFollowers(appliedSteps: 0)
        let work = BlockWork(self, SweepProgram())
        for parameter in layout.indices where missed[parameter] == applied && chain.takesPart(parameter) {
            if followerStarts.beginWith(parameter) { startFollowers(of: parameter, parameters, work) }
        }
    }

    /// Has followers and the average start at what a parameter is.
    ///
    /// - Parameters:
    ///   - parameter: Its position.
    ///   - parameters: The parameters.
    ///   - work: What is done to blocks.
    ///   - late: Those that start; nil for all.
    func startFollowers(
        of parameter: Int, _ parameters: Backend.Tensors, _ work: borrowing BlockWork, only late: [Int]? = nil
    ) {
        let average = owners.branches[parameter].flatMap { averageSlot(of: $0, among: late) }
        sweeps.run(over: parameter, parameters) { block in
            work.startFollowers(&block, only: late)
            guard let average else { return }
            block.slotAccess = SlotAccess(first: average, count: 1)
            block.blendParameters(into: 0, weight: 1, replacing: false)
        }
    }

    /// The slot of a branch's average, if it is that of one of some followers; nil for all followers.
    private func averageSlot(of branch: Int, among followers: [Int]?) -> Int? {
        guard let slot = slotTable.parameterAverages[branch], let followers else {
            return slotTable.parameterAverages[branch]
        }
        let own = zip(chain.branchPlaces[branch].followers, slotTable.ofFollowers[branch])
        return own.contains { followers.contains($0) && $1.contains(slot) } ? slot : nil
    }
}
