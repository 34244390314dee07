import Descent

/// What a stage does on command, in the next call alone.
enum Fault: String, Sendable, CaseIterable {
    case veto = "veto"
    case throwInPrepare = "throw in prepare"
    case throwInFinish = "throw in finish"
}

/// Tells stages what to do wrong; every copy of a stage listens to the same one.
///
/// The stages of one sequence are called on one thread alone, outside of sweeps.
final class FaultSwitch: @unchecked Sendable {
    /// Which stages are to do what.
    var commands: [(stage: Int, fault: Fault)] = []
    private var hasFired = false

    /// Takes all commands back, and tells whether one has been carried out.
    func takeFired() -> Bool {
        defer { (commands, hasFired) = ([], false) }
        return hasFired
    }

    func fires(_ stage: Int, _ fault: Fault) -> Bool {
        guard commands.contains(where: { $0.stage == stage && $0.fault == fault }) else { return false }
        hasFired = true
        return true
    }
}

/// A stage that leaves gradients alone, and vetoes or throws on command.
struct FaultyStage: GradientScaling {
    /// What it counts.
    struct State: Codable, Sendable, Hashable {
        /// How often it has been told how a step ended.
        var finished = 0
    }

    static let errorCode = DescentError.Code("faultOnCommand")

    let number: Int
    /// Whether it asks for a norm, so that it is prepared only after the sweep that measures.
    let needsNorm: Bool
    let command: FaultSwitch
    var state = State()

    var name: String { "Faulty\(number)" }
    var requirements: [Requirement] { needsNorm ? [.norm(.l2)] : [] }

    mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        if command.fires(number, .veto) { step.veto("on command") }
        if command.fires(number, .throwInPrepare) {
            throw DescentError(Self.errorCode, stage: name, "thrown on command in prepare")
        }
    }

    mutating func finish(_ result: StepResult) throws(DescentError) {
        state.finished += 1
        if command.fires(number, .throwInFinish) {
            throw DescentError(Self.errorCode, stage: name, "thrown on command in finish")
        }
    }
}

/// Replaces gradients by their running mean: a stage with a slot.
struct RememberingStage: GradientTransform {
    static let decay: Float = 0.5
    let number: Int

    var name: String { "Remembering\(number)" }
    var slots: [Slot] { ["mean"] }

    func transform(_ block: inout some GradientBlock) {
        block.withElementsAndSlot { gradient, mean in
            for index in gradient.indices {
                mean[index] = Self.decay * mean[index] + (1 - Self.decay) * gradient[index]
                gradient[index] = mean[index]
            }
        }
    }
}
