extension Engine {
    /// The stage that exchanges gradients, if other processes take part.
    var exchanging: (any Exchanging)? {
        get { plan.exchanging.flatMap { stages[$0] as? any Exchanging } }
        set { if let index = plan.exchanging, let newValue { stages[index] = newValue } }
    }

    /// Has the exchanging stage make contact with other processes.
    mutating func connect(as setup: PipelineSetup) throws(DescentError) {
        let layout = layout
        let exchanged = layout.indices.filter { !blockRanges[$0].isEmpty }
        try exchanging?.connect(exchanged, of: layout, as: setup)
    }

    /// Tells other processes of an error in the arguments of a call, if the call would have closed a window.
    ///
    /// - Parameters:
    ///   - error: Why this process takes no part in it.
    ///   - closesWindow: Whether the call was to close the window early.
    mutating func abandon(_ error: DescentError, closesWindow: Bool) {
        guard plan.exchanging != nil else { return }
        let isLast = accumulation.map { window.received + 1 >= $0.length } ?? true
        if closesWindow || isLast { exchanging?.abandon(error) }
    }

    /// Begins an exchange of the window that is about to be closed.
    ///
    /// - Parameters:
    ///   - elementType: How the gradients at hand are stored, where they are the window; nil for a window's sum.
    ///   - weight: The weight of the gradients, where nothing accumulates.
    /// - Throws: What the stage throws.
    mutating func beginExchange(of elementType: ElementType?, weight: Double) throws(DescentError) {
        if accumulation == nil { makeInbox() }
        let contribution = Contribution(
            factor: elementType == nil ? Float(closingFactor) : 1,
            weight: accumulation == nil ? weight : window.weights,
            elementType: elementType ?? .float32, objection: reasonNotToClose())
        try exchanging?.begin(contribution)
    }

    /// Contributes the gradient of one parameter, if it is one that is exchanged.
    mutating func contribute(_ gradients: Backend.Tensors, of parameter: Int) throws(DescentError) {
        guard !blockRanges[parameter].isEmpty else { return }
        try exchanging?.contribute(gradients, of: parameter)
    }

    /// Makes the window that of all processes.
    ///
    /// - Returns: Why all of them skip the step; nil if nothing speaks against it.
    mutating func exchange(_ tensors: StepTensors, _ closing: inout Closing) throws(DescentError) -> SkipReason? {
        if !closing.isContributed { try contribute(tensors, closing) }
        guard let slot = windowSlot, let index = plan.exchanging, var stage = stages[index] as? any Exchanging else {
            return nil
        }
        defer { stages[index] = stage }
        closing = Closing(factor: 1)
        if let parameters = tensors.parameters { try stage.compare(parameters) }
        return try stage.collect(into: &slots[slot])
    }

    private mutating func contribute(_ tensors: StepTensors, _ closing: Closing) throws(DescentError) {
        if var gathering = closing.gathering {
            foldFactors()
            gathering.destination = accumulation?.slot
            run(SweepProgram(gathering: gathering), tensors)
        }
        let gradients = closing.factor == nil ? tensors.gradients : nil
        try beginExchange(of: gradients?.elementType, weight: closing.weight)
        guard let source = gradients ?? windowSlot.map({ slots[$0] }) else { return }
        // Backward passes begin at the last parameter, and so does the exchange.
        for parameter in layout.indices.reversed() { try contribute(source, of: parameter) }
    }
}
