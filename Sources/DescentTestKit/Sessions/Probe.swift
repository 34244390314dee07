import DescentCore
import Foundation
import Synchronization

/// What probes of a pipeline have seen.
final class ProbeLog: Sendable {
    /// Which statistics the stage reads.
    let audit = StatisticsAudit()
    private let notes = Mutex((state: "", setsFactors: false, changesWhatItMeasures: false, measured: [[Double]]()))
    /// What the stage uses of blocks without having declared it.
    let uses = UndeclaredUses()

    /// The stage's state after the last step, as JSON.
    var state: String {
        get { notes.withLock { $0.state } }
        set { notes.withLock { $0.state = newValue } }
    }

    /// Whether a block was another one after the stage had measured it.
    var changesWhatItMeasures: Bool {
        get { notes.withLock { $0.changesWhatItMeasures } }
        set { notes.withLock { $0.changesWhatItMeasures = newValue } }
    }

    /// What the stage has measured by itself: for each step, the numbers of all parameters.
    var measured: [[Double]] { notes.withLock { $0.measured } }

    /// Notes what the stage has measured by itself in a step.
    func note(measured numbers: [Double]) { notes.withLock { $0.measured.append(numbers) } }

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
    func dependsOnRows(of parameter: ParameterDescription) -> Bool { base.dependsOnRows(of: parameter) }

    mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try base.configure(for: layout)
        note()
    }

    mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        noteMeasured(step)
        step.incoming.audit = log.audit
        try base.prepare(&step)
        if step.hasFactors { log.setsFactors = true }
    }

    func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
        log.uses.watch(&block)
        let before = block.bits
        let number = base.measure(measurement, of: &block)
        if block.bits != before { log.changesWhatItMeasures = true }
        return number
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

    private func noteMeasured(_ step: StepPreparation) {
        var numbers: [Double] = []
        for case .measured(let measurement) in base.requirements {
            numbers += step.layout.indices.map { step.incoming.value(measurement, of: $0) }
        }
        if !numbers.isEmpty { log.note(measured: numbers) }
    }

    private func note() {
        do {
            log.state = String(decoding: try SavedState.encode(base.state), as: UTF8.self)
        } catch { log.state = "a state that cannot be encoded: \(error)" }
    }
}

extension GradientBlock {
    /// The bits of all elements.
    fileprivate var bits: [UInt32] {
        mutating get { withElements { elements in elements.indices.map { elements[$0].bitPattern } } }
    }
}
