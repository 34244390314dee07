// How gradients are taken in one by one, as a backward pass makes them.

extension Engine {
    /// Takes in the gradient of one parameter: adds it to the window and measures it, while it is in cache.
    mutating func receive(_ gradients: Backend.Tensors, of parameter: Int, weight: Double) throws(DescentError) {
        try layout.requireMatch(of: gradients.layout, as: "gradients")
        guard layout.indices.contains(parameter) else {
            throw DescentError(
                .unexpectedParameter,
                "There is no parameter at position \(parameter); the layout has \(layout.count), counted from 0.")
        }
        try validate(weight: weight)
        let isFirst = received == nil
        if isFirst { try beginReceiving(gradients.elementType, weight: weight) }
        try received?.requireNew(layout[parameter], at: parameter, weight: weight)
        guard let mode = received?.mode else { return }
        if mode.isContributed, mode.addition == nil { try contribute(gradients, of: parameter) }
        received?.isReceived[parameter] = true
        guard let addition = mode.addition else { return }
        if !isFirst { makeUnique() }
        takeIn(StepTensors(gradients: gradients), of: parameter, addition, mode)
        if mode.isContributed, let slot = addition.destination { try contribute(sweeps.slots[slot], of: parameter) }
    }

    /// Forgets the gradients that have been received, as if none of this micro-batch had.
    mutating func discardReceived() {
        guard let mode = received?.mode else { return }
        received = nil
        if let window = mode.windowBefore { accumulation?.window = window }
        reporter.restartHistograms()
        guard mode.isContributed else { return }
        exchange?.abandon(DescentError(.incompleteMicroBatch, "The gradients of this micro-batch were discarded."))
    }

    /// Carries out a step with the gradients that have been received.
    mutating func stepReceived(_ tensors: Tensors, closesWindow: Bool) throws(DescentError) -> StepOutcome {
        try requireParameters(tensors)
        guard var received else {
            if let first = layout.firstIndex(where: { $0.count > 0 }) { throw missing(first) }
            // Where nothing has elements there is nothing to receive, and any tensors are its gradients.
            var tensors = tensors
            tensors.gradients = tensors.parameters
            return try step(tensors, closesWindow: closesWindow)
        }
        let missing = layout.indices.first { !received.isReceived[$0] && layout[$0].count > 0 }
        if let missing, configuration.missing == .refuse { throw self.missing(missing) }
        var tensors = tensors
        if missing != nil { tensors.isAbsent = layout.indices.map { !received.isReceived[$0] && layout[$0].count > 0 } }
        try requirePresent(tensors.isAbsent, closesWindow: closesWindow, hasOutput: false)
        makeUnique()
        if !received.mode.isDirect { tensors.gradients = sweeps.receivedSlot.map { sweeps.slots[$0] } }
        let window = accumulation?.window
        self.received = nil
        takeInAbsent(tensors, &received)
        let records = reporter.report.records.sizes
        swapSums(received.mode)
        let action: StepAction
        do throws(DescentError) {
            let closes =
                received.mode.isDirect ? closesWindow || isWindowFull : meetsOthers(closesWindow: closesWindow)
            let mode = received.mode
            action = try settle(closing: closes) { (engine) throws(DescentError) in
                try engine.chooseAction(&tensors, mode, closesWindow: closesWindow)
            }
        } catch {
            takeBackSum()
            swapSums(received.mode)
            self.received = received
            if let window { accumulation?.window = window }
            if received.mode.isContributed {
                // What other processes have been given they will not take again.
                self.received = nil
                if let before = received.mode.windowBefore { accumulation?.window = before }
            }
            absence.isAbsent = []
            leaveOut([])
            reporter.report.records.cut(to: records)
            if !received.mode.isMeasured {
                reporter.restartHistograms()
                sweeps.forgetRows()
            }
            throw error
        }
        return try perform(action, tensors)
    }

    /// Takes in zeros where no gradient has been received, if gradients become part of the window as they arrive.
    private mutating func takeInAbsent(_ tensors: Tensors, _ received: inout ReceivedGradients) {
        guard received.mode.isDirect else { return }
        accumulation?.window.noteAbsent(tensors.isAbsent)
        guard !tensors.isAbsent.isEmpty, let addition = received.mode.addition else { return }
        absence.isAbsent = tensors.isAbsent
        if received.mode.isMeasured, !isLeftOutOfWindow.isEmpty {
            // What was prepared and measured did not know who takes part.
            received.mode.isMeasured = false
            reporter.report.records.removeAll()
            reporter.restartHistograms()
            sweeps.forgetRows()
        }
        for parameter in layout.indices where tensors.isAbsent[parameter] {
            takeIn(
                StepTensors(gradients: tensors.parameters, isAbsent: tensors.isAbsent), of: parameter, addition,
                received.mode)
        }
    }

    /// Adds the gradient of one parameter to the window, and measures it.
    private func takeIn(
        _ tensors: Tensors, of parameter: Int, _ addition: WindowAddition, _ mode: ReceivedGradients.Mode
    ) {
        let sweep = mode.isMeasured ? plan.window.measuring.first : nil
        run(
            SweepProgram(
                operations: sweep?.operations ?? [], addition: addition,
                windowFactor: sweep == nil ? nil : factorOnArrival, keepsSlots: false, makesHistograms: sweep != nil,
                checksSum: plan.checksInput && mode.isDirect && !isWindowFull), tensors,
            over: sweeps.blockRanges[parameter])
    }

    private mutating func chooseAction(
        _ tensors: inout Tensors, _ mode: ReceivedGradients.Mode, closesWindow: Bool
    ) throws(DescentError) -> StepAction {
        guard mode.isDirect else {
            begin()
            absence.isAbsent = tensors.isAbsent
            var weight = mode.weight
            if sharesRows { try collectRows(&tensors, &weight) }
            return try chooseAction(tensors, weight: weight, closesWindow: closesWindow)
        }
        guard closesWindow || isWindowFull else { return .accumulate(nil, rejection: nil) }
        // Where gradients are not counted as they arrive, an attempt that a stage threw in has asked for it anew.
        if !mode.isMeasured { reporter.startHistograms() }
        // As with all gradients at once, a window that cannot become a step comes before a stage's veto.
        if let veto = mode.veto { return .skip(accumulation?.reasonNotToClose ?? veto) }
        return try chooseAction(
            tensors,
            ClosingWindow(
                factor: factorOnArrival, isBegun: mode.isMeasured, weight: mode.weight,
                isContributed: mode.isContributed))
    }

    private mutating func beginReceiving(_ elementType: ElementType, weight: Double) throws(DescentError) {
        begin()
        if sharesRows { return try beginReceivingRows(elementType, weight: weight) }
        let before = accumulation?.window
        let isDirect = plan.microBatch.map { $0.transforms.isEmpty && $0.measuring.isEmpty } ?? true
        if isDirect { accumulation?.admit(weight: weight) }
        let isContributed = isDirect && isWindowFull && exchangesGradients
        // What is measured may depend on the parameters, which arrive with the step.
        let isMeasured = isDirect && isWindowFull && !isContributed && canMeasureOnArrival
        let veto: SkipReason?
        do throws(DescentError) {
            veto = isMeasured ? try prepare(plan.window.prepares) : nil
            chain.multiplyRunFactors()
            if isContributed { try beginExchange(of: isWindowItself ? elementType : nil, weight: weight) }
        } catch {
            if let before { accumulation?.window = before }
            throw error
        }
        received = ReceivedGradients(
            isReceived: [Bool](repeating: false, count: layout.count),
            mode: ReceivedGradients.Mode(
                weight: weight, isDirect: isDirect, isMeasured: isMeasured, isContributed: isContributed,
                addition: isContributed && isWindowItself ? nil : additionOnArrival(isDirect: isDirect),
                windowBefore: before, veto: veto))
    }

    /// Begins a micro-batch of which other processes are given each gradient as it arrives.
    private mutating func beginReceivingRows(_ elementType: ElementType, weight: Double) throws(DescentError) {
        try beginSharingRows(elementType, weight: weight)
        received = ReceivedGradients(
            isReceived: [Bool](repeating: false, count: layout.count),
            mode: ReceivedGradients.Mode(
                weight: weight, isDirect: false, isMeasured: false, isContributed: true, addition: nil,
                windowBefore: accumulation?.window, veto: nil))
    }

    /// Whether the first measuring sweep needs nothing but gradients, one after another.
    private var canMeasureOnArrival: Bool {
        guard let first = plan.window.measuring.first, !first.statistics.isEmpty, first.passes.isEmpty else {
            return false
        }
        let readsParameters = first.operations.contains { if case .direct = $0 { true } else { false } }
        return !readsParameters && !chain.readsParameters(plan.window.transforms) && !chain.measuresForOptimizers
    }

    /// What the window's sum is multiplied by, where gradients became part of it as they arrived.
    private var factorOnArrival: Double { isWindowItself ? 1 : closingFactor }

    private mutating func additionOnArrival(isDirect: Bool) -> WindowAddition {
        guard isDirect, let accumulation else {
            return WindowAddition(
                sum: nil, destination: sweeps.makeReceivedSlot(), factor: 1, runsMicroBatchStages: false)
        }
        if isWindowItself { return WindowAddition(sum: nil, destination: accumulation.slot, factor: 1) }
        var addition = accumulation.addition
        if addition.sum != nil { addition.destination = sweeps.makeReceivedSlot() }
        return addition
    }

    /// Puts the sum that a micro-batch is part of in the place of the one that it is not, or the other way round.
    private mutating func swapSums(_ mode: ReceivedGradients.Mode) {
        guard mode.isDirect, let sum = accumulation?.slot, let destination = mode.addition?.destination
        else { return }
        if destination != sum { sweeps.exchangeSlots(destination, sum) }
    }

    private func missing(_ parameter: Int) -> DescentError {
        let name = layout[parameter].name
        return DescentError(
            .missingParameter, parameter: name, "The gradient of \"\(name)\" has not been received yet.")
    }
}
