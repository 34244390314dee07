// How micro-batches enter the window, and how it becomes that of all processes.

extension Engine {
    /// Whether the window has been given as many micro-batches as it takes; without accumulation, every micro-batch is one.
    var isWindowFull: Bool { accumulation?.isFull ?? true }

    /// Whether the gradients that arrive are the window as they are, because it is full with them alone.
    var isWindowItself: Bool { isWindowFull && (accumulation.map { $0.window.included == 1 } ?? true) }

    /// What the window's sum is multiplied by.
    var closingFactor: Double { accumulation?.closingFactor ?? 1 }

    /// Admits a micro-batch to the window, unless the stages before the accumulation have a reason not to.
    ///
    /// - Returns: Why it is left out; nil if it is not.
    /// - Throws: What a stage throws as it is prepared.
    mutating func admit(_ tensors: Tensors, weight: Double) throws(DescentError) -> SkipReason? {
        guard let before = accumulation?.window, let segment = plan.microBatch, tensors.hasGradients else {
            return nil
        }
        accumulation?.admit(weight: weight)
        accumulation?.window.noteAbsent(absence.isAbsent)
        var alone = ClosingWindow()
        if configuration.missing == .skipParameter { leaveOut(absence.isAbsent) }
        let reason = try measure(segment, tensors, &alone)
        // Until the window is closed, gradients that are absent enter it as zeros.
        leaveOut([])
        guard let reason else { return nil }
        // What follows reads the window without this micro-batch, whose rows have other means.
        sweeps.forgetRows()
        accumulation?.window.reject(reason, since: before)
        return reason
    }

    /// How far the window has come; by now the micro-batch is part of the sum, or left out for a reason.
    mutating func progress(_ rejection: SkipReason?) -> WindowProgress {
        var rejection = rejection
        if rejection == nil, plan.checksInput {
            let parameter = firstOfAll(sweeps.firstFlagged(.isNotFinite)).map { layout[$0].name }
            rejection = accumulation?.noteSpoiledSum(of: parameter)
        }
        return accumulation?.progress(rejection)
            ?? WindowProgress(received: 0, included: 0, length: 1, rejection: rejection)
    }

    /// Makes the window that of all processes, where others take part.
    ///
    /// - Returns: Why the step is to be skipped; nil if there is no reason.
    mutating func exchangeWindow(_ tensors: Tensors, _ closing: inout ClosingWindow) throws(DescentError) -> SkipReason?
    {
        exchangesGradients ? try exchangeGradients(tensors, &closing) : accumulation?.reasonNotToClose
    }

    private mutating func exchangeGradients(
        _ tensors: Tensors, _ closing: inout ClosingWindow
    ) throws(DescentError) -> SkipReason? {
        if !closing.isContributed { try contribute(tensors, closing) }
        guard let slot = sweeps.windowSlot else { return nil }
        // What comes back takes the place of a sum that an error would bring back.
        if !closing.isContributed, closing.factor != nil { setSumAside() }
        closing = ClosingWindow(factor: 1)
        if let parameters = tensors.parameters { try exchange?.compare(parameters) }
        return try exchange?.collect(into: &sweeps.slots[slot])
    }

    // MARK: Exchange

    /// Whether whole gradients are exchanged with other processes.
    var exchangesGradients: Bool { exchange?.exchanged.contains(.gradients) ?? false }

    /// Connects to the other processes.
    mutating func connect(as setup: PipelineSetup) throws(DescentError) {
        let (design, exchanged) = (design, layout.indices.filter { isExchanged($0) })
        try exchange?.connect(exchanged, dividedBy: design.division, of: design.layout, as: setup)
    }

    /// Whether processes exchange gradients of a parameter.
    private func isExchanged(_ parameter: Int) -> Bool { !design.isFrozen[parameter] && layout[parameter].count > 0 }

    /// Tells other processes of an error in the arguments of a call, if they meet in it.
    ///
    /// - Parameters:
    ///   - error: Why this process takes no part in it.
    ///   - closesWindow: Whether the call was to close the window early.
    mutating func abandon(_ error: DescentError, closesWindow: Bool) {
        if meetsOthers(closesWindow: closesWindow) { exchange?.abandon(error) }
    }

    /// Whether processes meet in the next micro-batch, or in a call that closes a window early.
    func meetsOthers(closesWindow: Bool) -> Bool {
        sharesRows || closesWindow || accumulation.map { $0.window.received + 1 >= $0.settings.length } ?? true
    }

    /// Chooses what is done and, if processes meet in it, makes sure that others do the same.
    ///
    /// - Parameters:
    ///   - closesWindow: Whether they meet unless something throws.
    ///   - choose: What chooses.
    /// - Returns: What has been chosen.
    /// - Throws: What `choose` throws, of which the others are told, and what they throw.
    mutating func settle(
        closing closesWindow: Bool, _ choose: (inout Self) throws(DescentError) -> StepAction
    ) throws(DescentError) -> StepAction {
        let action: StepAction
        do throws(DescentError) { action = try choose(&self) } catch {
            if closesWindow { exchange?.abandon(error) }
            throw error
        }
        guard exchange != nil else { return action }
        switch action {
        case .accumulate: if sharesRows { try exchange?.settle(.accumulate) }
        case .skip(let reason, _): try exchange?.settle(.skip(reason))
        case .update:
            let decision = StepDecision.update(digest: digestOfUpdate)
            try exchange?.settle(decision)
        }
        return action
    }

    /// A digest of what an update does that has to be the same in every process: FNV-1a, a word at a time.
    private var digestOfUpdate: UInt64 {
        mutating get {
            var digest: UInt64 = 0xcbf2_9ce4_8422_2325
            func add(_ word: UInt64) {
                digest = (digest ^ word) &* 0x100_0000_01b3
                digest ^= digest >> 32
            }
            add(UInt64(counters.appliedSteps))
            add(UInt64(chain.lossScale.bitPattern))
            for rates in rates {
                add(UInt64(rates.learningRate.bitPattern))
                add(UInt64(rates.weightDecay.bitPattern))
            }
            chain.multiplyRunFactors()
            for factor in chain.runFactors { add(factor.bitPattern) }
            return digest
        }
    }

    /// Begins an exchange of the window that is about to be closed.
    ///
    /// - Parameters:
    ///   - elementType: How the gradients at hand are stored, where they are the window; nil for a window's sum.
    ///   - weight: The weight of the gradients, where nothing accumulates.
    /// - Throws: What the stage throws.
    mutating func beginExchange(of elementType: ElementType?, weight: Double) throws(DescentError) {
        if accumulation == nil { sweeps.makeReceivedSlot() }
        let contribution = Contribution(
            factor: elementType == nil ? Float(closingFactor) : 1, weight: accumulation?.window.weights ?? weight,
            elementType: elementType ?? .float32, skipReason: accumulation?.reasonNotToClose)
        try exchange?.begin(contribution)
    }

    /// Contributes the gradient of one parameter, if it is one that is exchanged.
    mutating func contribute(_ gradients: Backend.Tensors, of parameter: Int) throws(DescentError) {
        guard isExchanged(parameter) else { return }
        try exchange?.contribute(gradients, of: parameter)
    }

    /// Keeps the window's sum as it is while that of all processes takes its place.
    private mutating func setSumAside() {
        guard let sum = accumulation?.slot else { return }
        sweeps.exchangeSlots(sum, sweeps.makeExchangeSlot())
        accumulation?.isSumSetAside = true
    }

    /// Has the window's sum again, after an error.
    mutating func takeBackSum() {
        guard let accumulation, accumulation.isSumSetAside else { return }
        sweeps.exchangeSlots(accumulation.slot, sweeps.makeExchangeSlot())
        self.accumulation?.isSumSetAside = false
    }

    private mutating func contribute(_ tensors: Tensors, _ closing: ClosingWindow) throws(DescentError) {
        var sum = sweeps.windowSlot
        if var addition = closing.addition {
            chain.multiplyRunFactors()
            sum = sweeps.makeExchangeSlot()
            addition.destination = sum
            run(SweepProgram(addition: addition), tensors)
        }
        let gradients = closing.factor == nil ? tensors.gradients : nil
        try beginExchange(of: gradients?.elementType, weight: closing.weight)
        guard let source = gradients ?? sum.map({ sweeps.slots[$0] }) else { return }
        // Backward passes begin at the last parameter, and so does the exchange.
        for parameter in layout.indices.reversed() { try contribute(source, of: parameter) }
    }
}
