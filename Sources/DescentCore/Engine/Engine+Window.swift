/// How an engine gathers micro-batches: what the accumulating stage was set to, and where the sum is.
struct Accumulation: Sendable {
    let stage: Int
    let name: String
    let slot: Int
    let length: Int
    let reduction: AccumulationWindow.Reduction
    let dropsNonFinite: Bool

    init(_ stage: any Accumulating, at index: Int, slot: Int) {
        self.stage = index
        self.slot = slot
        name = stage.name
        length = stage.windowLength
        reduction = stage.reduction
        dropsNonFinite = stage.dropsNonFinite
    }
}

extension Engine {
    /// Whether a window has been given micro-batches and is not closed.
    var isWindowOpen: Bool { window.received > 0 }

    /// Whether the window has been given as many micro-batches as it takes.
    var isWindowFull: Bool { accumulation.map { window.received >= $0.length } ?? true }

    /// What the window's sum is multiplied by.
    var closingFactor: Double { accumulation.map { window.closingFactor($0.reduction) } ?? 1 }

    /// How the micro-batch last admitted becomes part of the window.
    func gatheringIntoWindow() -> Gathering? {
        guard let accumulation else { return nil }
        return Gathering(
            sum: window.included == 1 ? nil : accumulation.slot, destination: accumulation.slot,
            factor: window.factor(accumulation.reduction))
    }

    /// Whether the gradients that arrive are the window as they are, because it is full with them alone.
    var isWindowItself: Bool { isWindowFull && (accumulation == nil || window.included == 1) }

    /// Admits a micro-batch to the window, unless the stages before the accumulation object to it.
    ///
    /// - Returns: Why it is left out; nil if it is not.
    /// - Throws: What a stage throws as it is prepared.
    mutating func admit(_ tensors: StepTensors, weight: Double) throws(DescentError) -> SkipReason? {
        guard let segment = plan.microBatch else { return nil }
        let before = window
        window.admit(weight: weight)
        var alone = Closing()
        guard let reason = try measure(segment, tensors, &alone) else { return nil }
        // What follows reads the window without this micro-batch, whose rows have other means.
        buffers.forgetRowMeans()
        let received = window.received
        window = before
        window.received = received
        window.note(reason)
        return reason
    }

    /// Ends a micro-batch that leaves its window open; by now it is part of the sum, or left out for a reason.
    mutating func conclude(accumulating rejection: SkipReason?) -> StepOutcome {
        let rejection = rejection ?? reasonOfSpoiledSum()
        return tell(
            .accumulated(
                WindowProgress(
                    received: window.received, included: window.included, length: accumulation?.length ?? 1,
                    rejection: rejection)))
    }

    /// Why the window will be skipped, because its sum is not finite; found when the micro-batch enters that makes it so.
    private mutating func reasonOfSpoiledSum() -> SkipReason? {
        guard let accumulation, plan.checksInput else { return nil }
        if !accumulation.dropsNonFinite, let spoiled = window.rejection { return spoiled }
        guard let parameter = firstFlagged(.isNotFinite) else { return nil }
        let name = layout[parameter].name
        let reason = SkipReason(
            .nonFinite, parameter: name, microBatch: window.received,
            "the gradient of \"\(name)\" in \(microBatchName), or its sum over the window, holds NaN or infinities")
        window.note(reason)
        return reason
    }

    /// The micro-batch last admitted, in words: "micro-batch 2 of 4".
    var microBatchName: String { "micro-batch \(window.received) of \(accumulation?.length ?? 1)" }

    /// Why the window cannot become a step, where it cannot.
    func reasonNotToClose() -> SkipReason? {
        guard let accumulation else { return nil }
        if let rejection = window.rejection, !accumulation.dropsNonFinite { return rejection }
        guard window.included == 0 || !closingFactor.isFinite else { return nil }
        return SkipReason(
            .emptyWindow, parameter: window.rejection?.parameter, stage: accumulation.name,
            microBatch: window.rejection?.microBatch,
            "no micro-batch of the window counts: each was left out or weighs 0"
                + (window.rejection.map { "; the first because \($0)" } ?? ""))
    }
}
