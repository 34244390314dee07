extension Engine {
    /// Whether a window has been given micro-batches and is not closed.
    var isWindowOpen: Bool { accumulators.contains { $0.received > 0 } }

    /// Whether the window has been given as many micro-batches as it takes.
    var isWindowFull: Bool { accumulators.allSatisfy { $0.received >= $0.windowLength } }

    /// What the window's sum is multiplied by.
    var closingFactor: Float { plan.accumulating == nil ? 1 : accumulators[0].closingFactor }

    /// The weight of what the window holds; nil where nothing accumulates.
    var includedWeight: Double? { accumulators.first?.includedWeight }

    /// How the micro-batch last admitted becomes part of the window.
    func gatheringIntoWindow() -> Gathering? {
        guard let accumulatorSlot else { return nil }
        return Gathering(
            slot: accumulatorSlot, factor: accumulators[0].factor, overwrites: accumulators[0].included == 1)
    }

    /// Whether the gradients that arrive are the window as they are, because it is full with them alone.
    var isWindowItself: Bool { isWindowFull && gatheringIntoWindow()?.overwrites ?? true }

    /// The outcome of a micro-batch that leaves its window open.
    func accumulated(rejection: SkipReason?) -> StepOutcome {
        tell(
            .accumulated(
                WindowProgress(
                    received: accumulators[0].received, included: accumulators[0].included,
                    length: accumulators[0].windowLength, rejection: rejection)))
    }

    /// Why the window cannot become a step, where it cannot.
    func reasonNotToClose() -> SkipReason? {
        guard plan.accumulating != nil else { return nil }
        if let spoiled = accumulators[0].spoiled { return spoiled }
        guard accumulators[0].included == 0 || !accumulators[0].closingFactor.isFinite else { return nil }
        return SkipReason(
            .emptyWindow, stage: accumulators[0].name,
            "no micro-batch of the window counts: each was left out or weighs 0")
    }
}
