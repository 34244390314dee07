import DescentCore
import Foundation
import Synchronization

/// What probes of a pipeline have seen.
final class ProbeLog: Sendable {
    /// Which statistics the stage reads.
    let audit = StatisticsAudit()
    private let notes = Mutex((state: "", setsFactors: false))
    /// What the stage uses of blocks without having declared it.
    let uses = UndeclaredUses()

    /// The stage's state after the last step, as JSON.
    var state: String {
        get { notes.withLock { $0.state } }
        set { notes.withLock { $0.state = newValue } }
    }

    /// Whether the stage has set factors in a step.
    var setsFactors: Bool {
        get { notes.withLock { $0.setsFactors } }
        set { notes.withLock { $0.setsFactors = newValue } }
    }
}

/// A transform that does what the one in it does, and takes notes.
struct Probe<Base: GradientTransform>: GradientTransform {
    private var base: Base
    private let log: ProbeLog

    /// Makes a probe.
    ///
    /// - Parameters:
    ///   - base: The transform.
    ///   - log: Where notes go.
    init(_ base: Base, log: ProbeLog) {
        self.base = base
        self.log = log
    }

    var state: Base.State {
        get { base.state }
        set { base.state = newValue }
    }
    var name: String { base.name }
    var order: StageOrder { base.order }
    var requirements: [Requirement] { base.requirements }
    var observations: [Requirement] { base.observations }
    var repairsNonFinite: Bool { base.repairsNonFinite }
    var canFail: Bool { base.canFail }
    var effect: StageEffect { base.effect }
    var lossScale: Float { base.lossScale }
    var restriction: ParameterSelection? { base.restriction }
    var slots: [Slot] { base.slots }
    var reach: StageReach { base.reach }

    func scratchCount(for parameter: ParameterDescription) -> Int { base.scratchCount(for: parameter) }

    func measure(_ measurement: DescentCore.Measurement, of block: inout some GradientBlock) -> Double {
        log.uses.watch(&block)
        return base.measure(measurement, of: &block)
    }

    mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try base.configure(for: layout)
        note()
    }

    mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        step.incoming.audit = log.audit
        try base.prepare(&step)
        if step.hasFactors { log.setsFactors = true }
    }

    func transform(_ block: inout some GradientBlock) {
        log.uses.watch(&block)
        base.transform(&block)
    }

    mutating func finish(_ result: StepResult) throws(DescentError) {
        var result = result
        result.incoming.audit = log.audit
        try base.finish(result)
        note()
    }

    private func note() {
        do {
            log.state = String(decoding: try SavedState.encode(base.state), as: UTF8.self)
        } catch { log.state = "a state that cannot be encoded: \(error)" }
    }
}
