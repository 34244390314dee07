extension Engine {
    /// A micro-batch whose gradients arrive one by one.
    struct Reception: Sendable {
        var isReceived: [Bool]
        let weight: Double
        /// Whether gradients become part of the window as they arrive, instead of waiting for the last one.
        let isDirect: Bool
        /// Whether the first measuring sweep runs as they arrive.
        let isMeasured: Bool
        /// Whether other processes are given the window as it arrives.
        let isContributed: Bool
        /// Why the step will be skipped, where a stage objected beforehand.
        var veto: SkipReason?
    }

    /// Takes in the gradient of one parameter: adds it to the window and measures it, while it is in cache.
    mutating func receive(
        _ gradients: Backend.Tensors, of parameter: Int, weight: Double
    ) throws(DescentError) {
        let name = layout[parameter].name
        if reception == nil { try beginReception(of: gradients.elementType, weight: weight) }
        guard var reception else { return }
        guard reception.weight == weight else {
            throw DescentError(
                .invalidWeight, parameter: name,
                "\"\(name)\" arrives with weight \(weight), the gradients before it with \(reception.weight).")
        }
        guard !reception.isReceived[parameter] else {
            throw DescentError(
                .duplicateParameter, parameter: name,
                "The gradient of \"\(name)\" has already been received for this micro-batch.")
        }
        if reception.isContributed, isWindowItself { try contribute(gradients, of: parameter) }
        reception.isReceived[parameter] = true
        self.reception = nil
        defer { self.reception = reception }
        if reception.isContributed, isWindowItself { return }
        makeUnique()
        let sweep = reception.isMeasured ? plan.window.measuring.first : nil
        run(
            SweepProgram(
                operations: sweep?.operations ?? [], gathering: gatheringOnArrival(reception),
                windowFactor: sweep == nil ? nil : factorOnArrival, keepsSlots: false, makesHistograms: sweep != nil),
            StepTensors(gradients: gradients), over: blockRanges[parameter])
        if reception.isContributed, let accumulatorSlot { try contribute(slots[accumulatorSlot], of: parameter) }
    }

    /// Carries out a step with the gradients that have been received.
    mutating func stepReceived(
        _ tensors: StepTensors, closesWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        let missing = reception.map { $0.isReceived.firstIndex(of: false) } ?? (layout.isEmpty ? nil : 0)
        if let missing {
            throw DescentError(
                .missingParameter, parameter: layout[missing].name,
                "The gradient of \"\(layout[missing].name)\" has not been received yet.")
        }
        guard let reception else { return try step(tensors, weight: 1, closesWindow: closesWindow) }
        try requireParameters(tensors)
        self.reception = nil
        guard reception.isDirect else {
            var tensors = tensors
            tensors.gradients = inboxSlot.map { slots[$0] }
            return try step(tensors, weight: reception.weight, closesWindow: closesWindow)
        }
        guard closesWindow || isWindowFull else { return accumulated(rejection: nil) }
        if let veto = reception.veto { return try conclude(skipping: veto) }
        return try finishWindow(
            tensors,
            Window(
                factor: factorOnArrival, isBegun: reception.isMeasured, weight: reception.weight,
                isContributed: reception.isContributed))
    }

    mutating func makeInbox() {
        guard inboxSlot == nil else { return }
        inboxSlot = slots.count
        slots.append(backend.makeTensors(layout, .float32))
    }

    private mutating func beginReception(of elementType: ElementType, weight: Double) throws(DescentError) {
        beginStep()
        let isDirect = plan.microBatch.map { $0.stages.isEmpty && $0.measuring.isEmpty } ?? true
        if plan.accumulating == nil || !isDirect { makeInbox() }
        if isDirect, plan.accumulating != nil { accumulators[0].admit(weight: weight) }
        let isContributed = isDirect && isWindowFull && plan.exchanging != nil
        // What is measured may depend on the parameters, which arrive with the step.
        let readsParameters = plan.window.stages.contains { stages[$0].requirements.contains(where: \.readsParameters) }
        let isMeasured =
            isDirect && isWindowFull && !isContributed && !plan.window.measuring.isEmpty && !readsParameters
        let veto = isMeasured ? try prepare(plan.window.prepares) : nil
        foldRuns()
        if isContributed { try beginExchange(of: isWindowItself ? elementType : nil, weight: weight) }
        reception = Reception(
            isReceived: layout.map { $0.count == 0 }, weight: weight, isDirect: isDirect, isMeasured: isMeasured,
            isContributed: isContributed, veto: veto)
    }

    /// What the window's sum is multiplied by, where gradients became part of it as they arrived.
    private var factorOnArrival: Float { isWindowItself ? 1 : closingFactor }

    private func gatheringOnArrival(_ reception: Reception) -> Gathering? {
        if reception.isDirect, isWindowItself, let accumulatorSlot {
            return Gathering(slot: accumulatorSlot, factor: 1, overwrites: true)
        }
        let inbox = inboxSlot.map { Gathering(slot: $0, factor: 1, overwrites: true, runsMicroBatchStages: false) }
        return reception.isDirect ? gatheringIntoWindow() ?? inbox : inbox
    }
}
