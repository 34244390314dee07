import DescentCore
import Foundation
import Synchronization

/// What probes of a pipeline have seen.
final class ProbeLog: Sendable {
    /// Which statistics the stage reads.
    let audit = StatisticsAudit()
    private let notes = Mutex((state: "", setsFactors: false))

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
    private let original: Base
    private let log: ProbeLog
    private let reloads: Bool
    private var layout: ParameterLayout?

    /// Makes a probe.
    ///
    /// - Parameters:
    ///   - base: The transform.
    ///   - log: Where notes go.
    ///   - reloads: Whether the transform is saved and loaded whenever it could be.
    init(_ base: Base, log: ProbeLog, reloads: Bool) {
        self.base = base
        original = base
        self.log = log
        self.reloads = reloads
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
    var effect: StageEffect { base.effect }
    var slots: [Slot] { base.slots }

    mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        self.layout = layout
        try base.configure(for: layout)
        note()
    }

    mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        step.incoming.audit = log.audit
        try base.prepare(&step)
        if step.hasFactors { log.setsFactors = true }
    }

    func transform(_ block: inout some GradientBlock) { base.transform(&block) }

    mutating func finish(_ conclusion: StepConclusion) throws(DescentError) {
        var conclusion = conclusion
        conclusion.incoming.audit = log.audit
        try base.finish(conclusion)
        if reloads { try reload() }
        note()
    }

    private func note() {
        do {
            log.state = String(decoding: try SavedState.encode(base.state), as: UTF8.self)
        } catch { log.state = "a state that cannot be encoded: \(error)" }
    }

    /// Replaces the transform by one as its author made it, with nothing but its state carried over.
    private mutating func reload() throws(DescentError) {
        guard let layout else { return }
        var other = original
        do {
            other.state = try SavedState.decode(Base.State.self, from: SavedState.encode(base.state))
        } catch {
            throw DescentError(
                .init("stateNotCodable"), stage: name, "the state of \(name) does not survive being saved: \(error)")
        }
        try other.configure(for: layout)
        base = other
    }
}

/// How a stage's state is written down and read back.
enum SavedState {
    static func encode(_ state: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        return try encoder.encode(state)
    }

    static func decode<State: Decodable>(_ type: State.Type, from data: Data) throws -> State {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        return try decoder.decode(type, from: data)
    }
}

extension Probe: Excluding where Base: Excluding {
    func excludes(_ parameter: ParameterDescription) -> Bool { base.excludes(parameter) }
}

extension Probe: LossScaling where Base: LossScaling {
    var lossScale: Float { base.lossScale }
}

extension Probe: Accumulating where Base: Accumulating {
    mutating func admit(weight: Double) {
        base.admit(weight: weight)
        // An open window has to survive being saved, too; a state that cannot be is found when the window closes.
        if reloads { try? reload() }
    }

    var factor: Float { base.factor }
    var closingFactor: Float { base.closingFactor }
    var received: Int { base.received }
    var included: Int { base.included }
    var windowLength: Int { base.windowLength }
    var dropsNonFinite: Bool { base.dropsNonFinite }
    var spoiled: SkipReason? { base.spoiled }
    mutating func reject(_ reason: SkipReason) { base.reject(reason) }
}

/// An optimizer that does what the one in it does, made anew before each step.
///
/// What an optimizer remembers has to be in slots, or follow from the number of applied steps.
struct ReloadedOptimizer<Base: Optimizer>: Optimizer {
    private var base: Base
    private let original: Base
    private var layout: ParameterLayout?

    init(_ base: Base) {
        self.base = base
        original = base
    }

    var name: String { base.name }
    var learningRate: Schedule { base.learningRate }
    var weightDecay: Float { base.weightDecay }
    var groups: [ParameterGroup] { base.groups }
    var slots: [Slot] { base.slots }

    mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        self.layout = layout
        try base.configure(for: layout)
    }

    mutating func prepare(appliedSteps: Int) {
        base = original
        // It was configured for the same layout before, without an error.
        if let layout { try? base.configure(for: layout) }
        base.prepare(appliedSteps: appliedSteps)
    }

    func update(_ block: inout some UpdateBlock) { base.update(&block) }
}

extension ReloadedOptimizer: ProposingOptimizer where Base: ProposingOptimizer {
    func propose(_ block: inout some UpdateBlock) { base.propose(&block) }

    mutating func decide(updateNorms: [Double], parameterNorms: [Double]) {
        base.decide(updateNorms: updateNorms, parameterNorms: parameterNorms)
    }
}
