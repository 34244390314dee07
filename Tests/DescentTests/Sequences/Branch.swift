import Descent
import TestSupport

/// One of the pipelines of a sequence, what it is compared with, and what was saved of it.
final class Branch {
    var machine: Machine
    /// A second one that is given the same.
    var companion: Machine?
    var model: Model
    var saved: Saved?

    /// State, as it was.
    struct Saved {
        let state: PipelineState<TensorSet>
        let companion: PipelineState<TensorSet>?
        let parameters: TensorSet
        let model: Model
        let sharedScale: ModelLossScale?
    }

    init(_ machine: Machine, companion: Machine?, _ model: Model) {
        self.machine = machine
        self.companion = companion
        self.model = model
    }

    func copy() -> Branch { Branch(machine.copy(), companion: companion?.copy(), model) }

    /// Compares everything that can be seen from outside; takes over the numbers.
    func compare(_ consequence: Consequence) throws(Disagreement) {
        try compareCounters()
        try compareParameters(consequence)
        for (name, found) in machine.slots { try compareSlot(name, found, consequence.slots[name]) }
        if case .made(let expected) = model.histograms, let found = machine.pipeline?.histograms {
            try require(
                found.count == expected.count && zip(found, expected).allSatisfy { $1 == nil || $0 == $1 }, .histograms,
                "histograms are \(found.map(\.count)), or their bins, where \(expected.map { $0?.count ?? 0 }) were counted"
            )
        }
    }

    private func compareCounters() throws(Disagreement) {
        try require(
            machine.appliedSteps == model.appliedSteps && machine.skippedSteps == model.skippedSteps, .counters,
            "\(machine.appliedSteps) steps applied and \(machine.skippedSteps) skipped, expected \(model.appliedSteps) "
                + "and \(model.skippedSteps)")
        try require(
            machine.lossScale == model.lossScale, .lossScale,
            "the loss scale is \(machine.lossScale), expected \(model.lossScale)")
        for state in machine.faultyStates {
            try require(
                state.finished == model.conclusions, .stageState,
                "a stage was told \(state.finished) times how a step ended, expected \(model.conclusions)")
        }
    }

    private func compareParameters(_ consequence: Consequence) throws(Disagreement) {
        let found = machine.parameters.arrays
        if let expected = consequence.parameters {
            try require(
                isFrozenUntouched(found, model.parameters), .parameters, "a frozen parameter has changed")
            try compare(found, expected, .parameters, "parameters")
            model.parameters = found
        } else {
            try require(
                found.bits == model.parameters.bits, .parameters,
                "parameters are \(found), which were \(model.parameters) and were not to change")
        }
    }

    private func isFrozenUntouched(_ found: [[Float]], _ before: [[Float]]) -> Bool {
        model.layout.indices.allSatisfy { !model.frozen[$0] || [found[$0]].bits == [before[$0]].bits }
    }

    private func compareSlot(
        _ name: String, _ found: [[Float]], _ expected: [[Approximate]]?
    ) throws(Disagreement) {
        if name == model.sumName {
            guard model.reception == nil, model.window.included > 0 else { return }
            if let expected {
                try compare(found, expected, .window, "the window's sum")
                model.window.sum = found
            } else {
                let isSame = model.layout.indices.allSatisfy {
                    model.frozen[$0] || [found[$0]].bits == [model.window.sum[$0]].bits
                }
                try require(
                    isSame, .window,
                    "the window's sum is \(found), which was \(model.window.sum) and was not to change")
            }
        } else if let expected {
            try compare(found, expected, .slots, name)
            model.slots[name] = found
        } else {
            try require(
                found.bits == model.slots[name]?.bits, .slots,
                "\(name) is \(found), which was \(model.slots[name] ?? []) and was not to change")
        }
    }

    /// Compares numbers with what they are to be, but for those of frozen parameters.
    func compare(
        _ found: [[Float]], _ expected: [[Approximate]], _ subject: Disagreement.Subject, _ what: String
    ) throws(Disagreement) {
        for parameter in model.layout.indices where !model.frozen[parameter] {
            for (index, number) in expected[parameter].enumerated() where !number.matches(found[parameter][index]) {
                throw Disagreement(
                    subject,
                    "\(what): \"\(model.layout[parameter].name)\"[\(index)] is \(found[parameter][index]), expected "
                        + "\(number.value) ± \(2 * number.error)")
            }
        }
    }

    /// Compares with the companion, to the bit.
    func compareWithCompanion(_ texts: (String, String)?, comparesSum: Bool = true) throws(Disagreement) {
        guard let companion, let kind = companion.companion else { return }
        if let texts {
            try require(texts.0 == texts.1, .companion, "\(kind.rawValue): \(texts.1)")
        }
        try require(
            companion.parameters.arrays.bits == machine.parameters.arrays.bits, .companion,
            "\(kind.rawValue): parameters \(companion.parameters.arrays), not \(machine.parameters.arrays)")
        let (slots, others) = (machine.slots, companion.slots)
        for (name, slot) in slots
        where name != model.sumName || (comparesSum && model.reception == nil && model.window.included > 0) {
            try require(
                others[name]?.bits == slot.bits, .companion,
                "\(kind.rawValue): \(name) \(others[name] ?? []), not \(slot)")
        }
        try require(
            companion.appliedSteps == machine.appliedSteps && companion.skippedSteps == machine.skippedSteps
                && companion.lossScale == machine.lossScale, .companion, "\(kind.rawValue): other counters")
    }
}

extension [[Float]] {
    /// The bits of all numbers; those of any NaN are the same.
    var bits: [UInt32] { joined().map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern } }
}
