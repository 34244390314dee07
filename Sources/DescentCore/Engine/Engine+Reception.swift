extension Engine {
    /// A micro-batch whose gradients arrive one by one.
    struct Reception: Sendable {
        /// For each parameter, whether its gradient has arrived.
        var isReceived: [Bool]
        let weight: Double
        /// Whether gradients become part of the window as they arrive, instead of waiting for the last one.
        let isDirect: Bool
        /// Whether the first measuring sweep runs as they arrive.
        let isMeasured: Bool
        /// Whether other processes are given the window as it arrives.
        let isContributed: Bool
        /// How gradients are kept until the step.
        ///
        /// A sum that others are part of is written to another slot, so that the micro-batch can still be abandoned.
        let gathering: Gathering?
        /// The window before this micro-batch.
        let windowBefore: AccumulationWindow
        /// Why the step will be skipped, where a stage objected beforehand.
        let veto: SkipReason?
    }

    /// Takes in the gradient of one parameter: adds it to the window and measures it, while it is in cache.
    mutating func receive(
        _ gradients: Backend.Tensors, of parameter: Int, weight: Double
    ) throws(DescentError) {
        guard layout.indices.contains(parameter) else {
            throw DescentError(
                .unexpectedParameter,
                "There is no parameter at position \(parameter); the layout has \(layout.count), counted from 0.")
        }
        let name = layout[parameter].name
        let isFirst = reception == nil
        if isFirst { try beginReception(of: gradients.elementType, weight: weight) }
        guard let reception else { return }
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
        if reception.isContributed, reception.gathering == nil { try contribute(gradients, of: parameter) }
        self.reception?.isReceived[parameter] = true
        guard let gathering = reception.gathering else { return }
        if !isFirst { makeUnique() }
        let sweep = reception.isMeasured ? plan.window.measuring.first : nil
        run(
            SweepProgram(
                operations: sweep?.operations ?? [], gathering: gathering,
                windowFactor: sweep == nil ? nil : factorOnArrival, keepsSlots: false, makesHistograms: sweep != nil,
                checksSum: plan.checksInput && reception.isDirect && !isWindowFull), StepTensors(gradients: gradients),
            over: blockRanges[parameter])
        if reception.isContributed, let slot = gathering.destination { try contribute(slots[slot], of: parameter) }
    }

    /// Forgets the gradients that have been received, as if none of this micro-batch had.
    mutating func discardReceived() {
        guard let reception else { return }
        self.reception = nil
        window = reception.windowBefore
        restartHistograms()
        guard reception.isContributed else { return }
        exchanging?.abandon(DescentError(.incompleteMicroBatch, "The gradients of this micro-batch were discarded."))
    }

    /// Carries out a step with the gradients that have been received.
    mutating func stepReceived(
        _ tensors: StepTensors, closesWindow: Bool
    ) throws(DescentError) -> StepOutcome {
        guard let reception else {
            if let first = layout.firstIndex(where: { $0.count > 0 }) { throw missing(first) }
            // Where nothing has elements there is nothing to receive, and any tensors are its gradients.
            var tensors = tensors
            tensors.gradients = tensors.parameters
            return try step(tensors, weight: 1, closesWindow: closesWindow)
        }
        if let missing = layout.indices.first(where: { !reception.isReceived[$0] && layout[$0].count > 0 }) {
            throw self.missing(missing)
        }
        try requireParameters(tensors)
        makeUnique()
        var tensors = tensors
        if !reception.isDirect { tensors.gradients = inboxSlot.map { slots[$0] } }
        let admitted = window
        let (normCount, countCount) = (report.norms.count, report.counts.count)
        self.reception = nil
        exchangeSums(reception)
        let decision: Decision
        do throws(DescentError) {
            decision = try decide(tensors, reception, closesWindow: closesWindow)
        } catch {
            exchangeSums(reception)
            self.reception = reception
            window = admitted
            report.norms.removeLast(max(0, report.norms.count - normCount))
            report.counts.removeLast(max(0, report.counts.count - countCount))
            if !reception.isMeasured { restartHistograms() }
            throw error
        }
        return try carryOut(decision, tensors)
    }

    private mutating func decide(
        _ tensors: StepTensors, _ reception: Reception, closesWindow: Bool
    ) throws(DescentError) -> Decision {
        guard reception.isDirect else {
            beginStep()
            return try decide(tensors, weight: reception.weight, closesWindow: closesWindow)
        }
        guard closesWindow || isWindowFull else { return .accumulate(nil, rejection: nil) }
        // Where gradients are not counted as they arrive, an attempt that a stage threw in has asked for it anew.
        if !reception.isMeasured { startHistograms() }
        // As with all gradients at once, a window that cannot become a step is not one that a stage objects to.
        if let veto = reception.veto { return .skip(reasonNotToClose() ?? veto) }
        return try decide(
            tensors,
            Closing(
                factor: factorOnArrival, isBegun: reception.isMeasured, weight: reception.weight,
                isContributed: reception.isContributed))
    }

    private mutating func beginReception(of elementType: ElementType, weight: Double) throws(DescentError) {
        beginStep()
        let before = window
        let isDirect = plan.microBatch.map { $0.stages.isEmpty && $0.measuring.isEmpty } ?? true
        if isDirect, accumulation != nil { window.admit(weight: weight) }
        let isContributed = isDirect && isWindowFull && plan.exchanging != nil
        // What is measured may depend on the parameters, which arrive with the step.
        let readsParameters = plan.window.stages.contains { stages[$0].requirements.contains(where: \.readsParameters) }
        let isMeasured =
            isDirect && isWindowFull && !isContributed && !plan.window.measuring.isEmpty && !readsParameters
        let veto: SkipReason?
        do throws(DescentError) {
            veto = isMeasured ? try prepare(plan.window.prepares) : nil
            foldFactors()
            if isContributed { try beginExchange(of: isWindowItself ? elementType : nil, weight: weight) }
        } catch {
            window = before
            throw error
        }
        reception = Reception(
            isReceived: [Bool](repeating: false, count: layout.count), weight: weight, isDirect: isDirect,
            isMeasured: isMeasured, isContributed: isContributed,
            gathering: isContributed && isWindowItself ? nil : gatheringOnArrival(isDirect: isDirect),
            windowBefore: before, veto: veto)
    }

    /// What the window's sum is multiplied by, where gradients became part of it as they arrived.
    private var factorOnArrival: Double { isWindowItself ? 1 : closingFactor }

    private mutating func gatheringOnArrival(isDirect: Bool) -> Gathering {
        if isDirect, let accumulation {
            if isWindowItself { return Gathering(sum: nil, destination: accumulation.slot, factor: 1) }
            if var gathering = gatheringIntoWindow() {
                if gathering.sum != nil { gathering.destination = makeInbox() }
                return gathering
            }
        }
        return Gathering(sum: nil, destination: makeInbox(), factor: 1, runsMicroBatchStages: false)
    }

    /// Puts the sum that a micro-batch is part of in the place of the one that it is not, or the other way round.
    private mutating func exchangeSums(_ reception: Reception) {
        guard reception.isDirect, let accumulation, let destination = reception.gathering?.destination else { return }
        if destination != accumulation.slot { slots.swapAt(destination, accumulation.slot) }
    }

    /// The slot for gradients that nothing else has a place for; made when it is first needed.
    @discardableResult mutating func makeInbox() -> Int {
        if let inboxSlot { return inboxSlot }
        let slot = slots.count
        inboxSlot = slot
        slots.append(backend.makeTensors(layout, .float32))
        return slot
    }

    private func missing(_ parameter: Int) -> DescentError {
        let name = layout[parameter].name
        return DescentError(
            .missingParameter, parameter: name, "The gradient of \"\(name)\" has not been received yet.")
    }
}
