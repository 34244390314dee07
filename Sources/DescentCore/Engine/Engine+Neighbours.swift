// Small tensors that lie side by side are worked on as one block, in sweeps that do the same to all of them.

extension Engine {
    /// The positions of blocks that a sweep may hand out as one, for each block; empty where it may join none.
    func neighbours(
        in program: borrowing SweepProgram, _ tensors: borrowing StepTensors<Backend.Tensors>
    ) -> [Range<Int>] {
        guard !sweeps.neighbours.isEmpty, program.addition == nil,
            !program.makesHistograms || reporter.histogramSink == nil,
            !program.leavesOutWholeTensors, program.pass == nil, absence.isAbsent.isEmpty, absence.isLeftOut.isEmpty,
            !tensors.writesElsewhere, areJoinable(program.operations)
        else { return [] }
        for operation in program.end {
            guard operation == .update, canJoinUpdates else { return [] }
        }
        return sweeps.neighbours
    }

    /// Whether operations do the same to all parameters, but for factors and norms of their own.
    private func areJoinable(_ operations: [Plan.Operation]) -> Bool {
        for operation in operations {
            switch operation {
            case .scale(let run): guard chain.factorsArePlain(ofRun: run) else { return false }
            case .transform(let station):
                guard case .transform(let position) = chain.places[station].kind, chain.places[station].branch == nil,
                    !accesses.hasSlots(station), chain.transforms[position].treatsParametersAlike
                else { return false }
            case .measure(let statistic, let isOwn):
                guard !isOwn, case .norm = plan.statistics[statistic].what else { return false }
            default: return false
            }
        }
        return true
    }

    /// Whether neighbours are updated alike in this step.
    private var canJoinUpdates: Bool {
        guard counters.missedSteps.isEmpty, slotTable.ofMasters == nil,
            !plan.checksResult || divergence.knowsParameters,
            chain.branchPlaces.allSatisfy({ $0.isFused && $0.followers.isEmpty })
        else { return false }
        return rates.areAlike(among: sweeps.neighbours, of: sweeps.blocks)
    }
}

extension [UpdateRates] {
    /// Whether neighbours have the same rates.
    fileprivate func areAlike(among neighbours: [Range<Int>], of blocks: [BlockExtent]) -> Bool {
        guard let first else { return true }
        let rates = span
        var areAllAlike = true
        for index in rates.indices where !rates[index].areSame(as: first) { areAllAlike = false }
        return areAllAlike
            || neighbours.enumerated().allSatisfy { index, others in
                self[blocks[index].parameterIndex].areSame(as: self[blocks[others.lowerBound].parameterIndex])
            }
    }
}

extension UpdateRates {
    fileprivate func areSame(as other: UpdateRates) -> Bool {
        learningRate == other.learningRate && weightDecay == other.weightDecay
    }
}

extension TransformChain {
    /// Whether the factors of consecutive scaling transforms are well within Float's range, or 0.
    func factorsArePlain(ofRun run: Int) -> Bool {
        let factors = runFactors.span
        var arePlain = true
        for index in run * isActive.count..<(run + 1) * isActive.count {
            let magnitude = factors[index].magnitude
            if magnitude != 0, !(magnitude > 0x1p-30 && magnitude < 0x1p30) { arePlain = false }
        }
        return arePlain
    }
}
