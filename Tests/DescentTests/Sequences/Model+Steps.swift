import Descent

extension Model {
    /// What else there is to know of a call that may end a step.
    struct Circumstances {
        let observation: Observation
        /// What a stage was told to do wrong, if one was.
        var command: Command?
        var closesWindow = false
        /// Whether the gradients arrived one by one, so that stages may have been prepared before this call.
        var isReceived = false

        var fired: Fault? { observation.hasFired ? command?.fault : nil }
    }

    /// Takes in a micro-batch with all its gradients.
    mutating func step(
        _ values: [[Float]], weight: Double, lossScale: Float?, _ circumstances: Circumstances
    ) throws(Disagreement) -> Consequence {
        var refusals: [String] = []
        if receivedGradients != nil { refusals.append("missingParameter") }
        if let lossScale, lossScale != self.lossScale { refusals.append("lossScaleMismatch") }
        if !refusals.isEmpty { return try refuse(refusals, circumstances.observation) }
        return try takeIn(values, weight: weight, circumstances)
    }

    /// Takes in a micro-batch whose gradients have been received.
    mutating func stepReceived(_ circumstances: Circumstances) throws(Disagreement) -> Consequence {
        let isComplete = layout.indices.allSatisfy { layout[$0].count == 0 || receivedGradients?.values[$0] != nil }
        // Tensors without elements need not be received, so that a micro-batch of nothing else is complete at once.
        guard isComplete, receivedGradients != nil || layout.elementCount == 0 else {
            return try refuse(["missingParameter"], circumstances.observation)
        }
        let values = layout.indices.map { receivedGradients?.values[$0] ?? [] }
        var circumstances = circumstances
        circumstances.isReceived = true
        let before = self
        receivedGradients = nil
        if before.isReceivedVetoed, circumstances.command?.fault != .throwInFinish { circumstances.command = nil }
        let consequence = try takeIn(
            values, weight: before.receivedGradients?.weight ?? 1, isVetoed: before.isReceivedVetoed, circumstances)
        if circumstances.fired == .throwInPrepare { self = before }
        return consequence
    }

    private var isReceivedVetoed: Bool { receivedGradients?.vetoedBy != nil }

    /// Closes the window.
    mutating func flush(_ circumstances: Circumstances) throws(Disagreement) -> Consequence {
        if receivedGradients != nil { return try refuse(["incompleteMicroBatch"], circumstances.observation) }
        guard window.received > 0 else {
            try require(circumstances.observation.kind == .nothing, .outcome, "no window is open")
            return Consequence()
        }
        if circumstances.fired == .throwInPrepare { return try throwInPrepare(circumstances) }
        return try closeWindow(window, window.sum.map { $0.map { Approximate($0) } }, isVetoed: false, circumstances)
    }

    /// Expects an error with one of some codes, and nothing to change.
    func refuse(_ codes: [String], _ observation: Observation) throws(Disagreement) -> Consequence {
        try require(
            codes.contains(observation.errorCode ?? ""), .outcome,
            "expected an error with code \(codes.joined(separator: " or ")), and nothing to change")
        return Consequence()
    }

    private func throwInPrepare(_ circumstances: Circumstances) throws(Disagreement) -> Consequence {
        try refuse([FaultyStage.errorCode.description], circumstances.observation)
    }

    private mutating func takeIn(
        _ values: [[Float]], weight: Double, isVetoed: Bool = false, _ circumstances: Circumstances
    ) throws(Disagreement) -> Consequence {
        if circumstances.fired == .throwInPrepare { return try throwInPrepare(circumstances) }
        let gradients = values.map { $0.map { Approximate($0) } }
        guard let accumulation else {
            return try conclude(
                pass(gradients, [], isVetoed, circumstances), hasOverflowed: false, original: values, circumstances)
        }
        let microBatch = run(0..<accumulation.position, on: gradients, checksInput: accumulation.drops)
        if microBatch.isUnknown { return Consequence(isUnknown: true) }
        var window = window
        window.received += 1
        let isVetoedHere =
            circumstances.fired == .veto && (circumstances.command?.position ?? 0) < accumulation.position
        let isRefused = microBatch.objects || microBatch.hasInvalidFactor
        try requireFiring(circumstances, in: 0..<accumulation.position, unless: isRefused)
        if isVetoedHere || isRefused {
            let reason = isVetoedHere ? "vetoed" : microBatch.hasInvalidFactor ? "nonFiniteSetting" : "nonFinite"
            window.rejection = window.rejection ?? reason
            if reason == "nonFinite" { window.hasOverflowed = true }
            return try advance(window, nil, reason, isVetoed, nil, values, circumstances)
        }
        window.included += 1
        window.weights += weight
        let factor = accumulation.reduction == .weighted ? Approximate(rounding: weight, 0) : Approximate(1)
        let sum = layout.indices.map { parameter in
            layout[parameter].count == 0 || frozen[parameter]
                ? gradients[parameter]
                : microBatch.gradients[parameter].indices.map { index in
                    let addend = factor * microBatch.gradients[parameter][index]
                    return window.included == 1 ? addend : Approximate(window.sum[parameter][index]) + addend
                }
        }
        return try advance(window, sum, nil, isVetoed, microBatch, values, circumstances)
    }

    /// Goes on with a window that has been given a micro-batch.
    private mutating func advance(
        _ window: Window, _ sum: [[Approximate]]?, _ rejection: String?, _ isVetoed: Bool, _ microBatch: Pass?,
        _ original: [[Float]], _ circumstances: Circumstances
    ) throws(Disagreement) -> Consequence {
        guard let accumulation, let sumName else { return Consequence() }
        if circumstances.closesWindow || window.received >= accumulation.steps {
            let sum = sum ?? window.sum.map { $0.map { Approximate($0) } }
            return try closeWindow(
                window, sum, isVetoed: isVetoed, microBatch: microBatch, isRejected: microBatch == nil,
                original: original, circumstances)
        }
        var window = window
        if let sum, zip(sum, frozen).contains(where: { !$1 && $0.contains { $0.isUnknown } }) {
            return Consequence(isUnknown: true)
        }
        var expected = rejection
        if expected == nil, checksWindow, !accumulation.drops {
            // A micro-batch that is not finite spoils the window, and the ones behind it are told so, too.
            if window.rejection == nil, let sum, zip(sum, frozen).contains(where: { !$1 && !$0.allSatisfy(\.isFinite) })
            {
                window.rejection = "nonFinite"
                window.hasOverflowed = true
            }
            expected = window.rejection
        }
        let observation = circumstances.observation
        try require(observation.kind == .accumulated, .outcome, "expected the micro-batch to be accumulated")
        let progress = observation.progress
        try require(
            progress?.received == window.received && progress?.included == window.included
                && progress?.length == accumulation.steps, .outcome,
            "expected a window of \(accumulation.steps) that was given \(window.received) and holds \(window.included)")
        try require(
            progress?.rejection?.code.description == expected, .outcome,
            "expected \(expected.map { "a rejection that is \($0)" } ?? "no rejection")")
        self.window = window
        guard let sum else { return Consequence() }
        return Consequence(slots: [sumName: sum])
    }

    private mutating func closeWindow(
        _ window: Window, _ sum: [[Approximate]], isVetoed: Bool, microBatch: Pass? = nil, isRejected: Bool = false,
        original: [[Float]]? = nil, _ circumstances: Circumstances
    ) throws(Disagreement) -> Consequence {
        guard let accumulation else { return Consequence() }
        var skipReasons: [String] = []
        if let rejection = window.rejection, !accumulation.drops {
            skipReasons = [rejection]
        } else if window.included == 0 || (accumulation.reduction == .weighted && window.weights == 0) {
            skipReasons = ["emptyWindow"]
        }
        let divisor =
            switch accumulation.reduction {
            case .mean: Double(window.included)
            case .sum: 1.0
            case .weighted: window.weights
            }
        let factor = Approximate(rounding: skipReasons.isEmpty ? 1 / divisor : 1, 0)
        let gradients =
            window.included == 0
            ? layout.map { [Approximate](repeating: Approximate(0), count: $0.count) }
            : sum.indices.map { parameter in frozen[parameter] ? sum[parameter] : sum[parameter].map { $0 * factor } }
        var pass = pass(gradients, skipReasons, isVetoed, circumstances)
        // The report tells of the stages before the accumulation, too, as they worked on the last micro-batch.
        if let microBatch {
            pass.0.norms = microBatch.norms + pass.0.norms
            pass.0.counts = microBatch.counts + pass.0.counts
        }
        if isRejected { pass.0.hasUncertainRecords = true }
        return try conclude(pass, hasOverflowed: window.hasOverflowed, original: original, circumstances)
    }

    /// Runs the stages behind the accumulation, and gathers what speaks against the step.
    private func pass(
        _ gradients: [[Approximate]], _ skipReasons: [String], _ isVetoed: Bool, _ circumstances: Circumstances
    ) -> (Pass, codes: [String]) {
        let first = accumulation.map { $0.position + 1 } ?? 0
        let pass = run(first..<subject.stages.count, on: gradients, checksInput: subject.policy != .propagate)
        // What comes first is what a pipeline skips for, unless it has measured before it prepares.
        var codes: [String] = []
        if isVetoed || (circumstances.fired == .veto && (circumstances.command?.position ?? 0) >= first) {
            codes.append("vetoed")
        }
        // A window that cannot become a step is not one that stages are asked about.
        if !skipReasons.isEmpty {
            codes = skipReasons
        } else {
            if pass.hasInvalidFactor { codes.append("nonFiniteSetting") }
            if pass.objects { codes.append("nonFinite") }
            if codes.isEmpty, !rateIsFinite { codes.append("nonFiniteSetting") }
        }
        return (pass, codes)
    }

    private var rateIsFinite: Bool { subject.optimizer.map { Float($0.rate.value(at: appliedSteps)).isFinite } ?? true }

    /// Expects a stage to have been asked that was told to do something wrong, if it is one of those that are prepared.
    func requireFiring(_ circumstances: Circumstances, in stages: Range<Int>, unless isExcused: Bool)
        throws(Disagreement)
    {
        guard let command = circumstances.command, command.fault != .throwInFinish, stages.contains(command.position)
        else { return }
        try require(
            circumstances.observation.hasFired || isExcused || circumstances.isReceived, .outcome,
            "\(stageNames[command.position]) was not prepared")
    }
}
