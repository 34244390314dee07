import Descent

extension Model {
    /// Ends a step: decides whether it is applied, and what it changes.
    mutating func conclude(
        _ prepared: (pass: Pass, codes: [String]), hasOverflowed: Bool, original: [[Float]]?,
        _ circumstances: Circumstances
    ) throws(Disagreement) -> Consequence {
        let (pass, codes) = prepared
        let observation = circumstances.observation
        let first = accumulation.map { $0.position + 1 } ?? 0
        var update = Consequence()
        if codes.isEmpty { update = self.update(pass, original) }
        if pass.isUnknown || update.isUnknown { return Consequence(isUnknown: true) }
        try requireFiring(circumstances, in: first..<subject.stages.count, unless: !codes.isEmpty)
        noteHistograms(original, codes)
        guard codes.isEmpty else {
            try skip(codes, hasOverflowed: hasOverflowed, circumstances)
            return Consequence()
        }
        let lossScale = lossScale
        appliedSteps += 1
        skipsInARow = 0
        finish(circumstances)
        if let sharedScale {
            if hasOverflowed { sharedScale.hasOverflowed = true }
            sharedScale.isApplied = true
        } else if hasOverflowed {
            _ = ownScale?.backOff()
        } else {
            ownScale?.grow()
        }
        if circumstances.command?.fault == .throwInFinish {
            _ = try refuse([FaultyStage.errorCode.description], observation)
        } else {
            let isFinite = update.parameters?.joined().allSatisfy(\.isFinite) ?? true
            try require(
                observation.kind == .applied || (!isFinite && observation.kind == .diverged), .outcome,
                "expected the step to be applied")
            if let report = observation.report { try check(report, pass, lossScale: lossScale) }
        }
        return update
    }

    private mutating func finish(_ circumstances: Circumstances) {
        conclusions += 1
        window = Window()
    }

    private mutating func skip(
        _ codes: [String], hasOverflowed: Bool, _ circumstances: Circumstances
    ) throws(Disagreement) {
        let observation = circumstances.observation
        let code = observation.skipCode ?? codes[0]
        try require(
            codes.contains(code), .outcome, "expected the step to be skipped: \(codes.joined(separator: " or "))")
        skippedSteps += 1
        finish(circumstances)
        let overflows = hasOverflowed || code == "nonFinite"
        // What the first stage that throws throws counts, and all are told in any case.
        var failures: [(position: Int, code: String)] = []
        if circumstances.command?.fault == .throwInFinish, let position = circumstances.command?.position {
            failures.append((position, FaultyStage.errorCode.description))
        }
        if overflows {
            if let sharedScale {
                sharedScale.hasOverflowed = true
            } else if ownScale?.backOff() == true, let position = unscaling {
                failures.append((position, "lossScaleExhausted"))
            }
        }
        if overflows || code == "nonFiniteSetting" {
            skipsInARow += 1
            if case .skipAtMost(let limit) = subject.policy, skipsInARow > limit {
                failures.append((.max, "tooManySkips"))
            }
        }
        if let failure = failures.min(by: { $0.position < $1.position }) {
            _ = try refuse([failure.code], observation)
        } else {
            try require(observation.skipCode == code, .outcome, "expected the step to be skipped: \(code)")
        }
    }

    private var unscaling: Int? {
        subject.stages.firstIndex { if case .unscale = $0.kind { true } else { false } }
    }

    /// What an applied step writes.
    private func update(_ pass: Pass, _ original: [[Float]]?) -> Consequence {
        var consequence = Consequence(slots: pass.slots)
        guard let optimizer = subject.optimizer else {
            consequence.transformed = layout.indices.map { parameter in
                frozen[parameter]
                    ? (original?[parameter] ?? [Float](repeating: 0, count: layout[parameter].count)).map {
                        Approximate($0)
                    }
                    : pass.gradients[parameter]
            }
            return consequence
        }
        var updated = parameters.map { $0.map { Approximate($0) } }
        var slots = optimizer.slotNames.map { name in (self.slots[name] ?? []).map { $0.map { Approximate($0) } } }
        for parameter in layout.indices where !frozen[parameter] {
            for index in 0..<layout[parameter].count {
                var elements = slots.map { $0[parameter][index] }
                optimizer.update(
                    pass.gradients[parameter][index], &updated[parameter][index], &elements,
                    rank: layout[parameter].rank, step: appliedSteps)
                for slot in slots.indices { slots[slot][parameter][index] = elements[slot] }
            }
        }
        consequence.parameters = updated
        for (name, slot) in zip(optimizer.slotNames, slots) { consequence.slots[name] = slot }
        consequence.isUnknown = ([updated] + slots).joined().joined().contains(where: \.isUnknown)
        return consequence
    }

    private mutating func noteHistograms(_ original: [[Float]]?, _ codes: [String]) {
        guard case .requested = histograms else { return }
        histograms = .none
        // A window's sum may be rounded over a power of two; a step may be vetoed before anything is counted.
        guard accumulation == nil, let original, codes.allSatisfy({ $0 == "nonFinite" }) else { return }
        histograms = .made(
            zip(original, frozen).map { values, isFrozen in
                var histogram = MagnitudeHistogram()
                for value in values { histogram.add(value) }
                return isFrozen ? nil : histogram
            })
    }
}
