extension Engine {
    /// Calls a body with the accumulating stage, to read it or to change it.
    mutating func withAccumulating<Result>(_ body: (inout any Accumulating) -> Result) -> Result? {
        guard let index = plan.accumulating, var stage = stages[index] as? any Accumulating else { return nil }
        let result = body(&stage)
        stages[index] = stage
        return result
    }

    private var accumulating: (any Accumulating)? {
        plan.accumulating.flatMap { stages[$0] as? any Accumulating }
    }

    /// Whether a window has been given micro-batches and is not closed.
    var isWindowOpen: Bool { accumulating.map { $0.received > 0 } ?? false }

    /// Whether the window has been given as many micro-batches as it takes.
    var isWindowFull: Bool { accumulating.map { $0.received >= $0.windowLength } ?? true }

    /// What the window's sum is multiplied by.
    var closingFactor: Float { accumulating?.closingFactor ?? 1 }

    /// The weight of what the window holds; nil where nothing accumulates.
    var includedWeight: Double? { accumulating?.includedWeight }

    /// How the micro-batch last admitted becomes part of the window.
    func gatheringIntoWindow() -> Gathering? {
        guard let accumulating, let accumulatorSlot else { return nil }
        return Gathering(slot: accumulatorSlot, factor: accumulating.factor, overwrites: accumulating.included == 1)
    }

    /// Whether the gradients that arrive are the window as they are, because it is full with them alone.
    var isWindowItself: Bool { isWindowFull && gatheringIntoWindow()?.overwrites ?? true }

    /// The outcome of a micro-batch that leaves its window open.
    func accumulated(rejection: SkipReason?) -> StepOutcome {
        tell(
            .accumulated(
                WindowProgress(
                    received: accumulating?.received ?? 0, included: accumulating?.included ?? 0,
                    length: accumulating?.windowLength ?? 0, rejection: rejection)))
    }

    /// Why the window cannot become a step, where it cannot.
    func reasonNotToClose() -> SkipReason? {
        guard let accumulating else { return nil }
        if let spoiled = accumulating.spoiled { return spoiled }
        guard accumulating.included == 0 || !accumulating.closingFactor.isFinite else { return nil }
        return SkipReason(
            .emptyWindow, stage: accumulating.name,
            "no micro-batch of the window counts: each was left out or weighs 0")
    }
}
