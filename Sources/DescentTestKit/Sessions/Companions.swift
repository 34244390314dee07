import DescentCore
import Synchronization

// Stages and an optimizer that stand beside a subject in the kit's pipelines.

/// An optimizer that leaves parameters alone and keeps each gradient that reaches it.
struct Recorder: Optimizer {
    static let slotName = "Recorder.gradient"

    let learningRate: Schedule = 1
    var slots: [Slot] { ["gradient"] }

    func update(_ block: inout some UpdateBlock) {
        block.updateEach { gradient, _, kept in kept = gradient }
    }
}

/// An optimizer whose direction is the gradient, but for every third column, which it turns round and halves; with a rate of 0.
struct Forwarder: DirectionalOptimizer {
    let learningRate: Schedule = 0

    func makeDirection(_ block: inout some UpdateBlock) {
        let columns = block.columnCount
        block.withElements { elements in
            for index in elements.indices where index % columns % 3 == 2 { elements[index] *= -0.5 }
        }
    }
}

/// A stage that keeps each update, as ``Recorder`` does gradients, and leaves nothing of it, so that no parameter moves.
struct UpdateRecorder: GradientTransform {
    let name = "Recorder"
    var slots: [Slot] { ["gradient"] }
    var canFail: Bool { false }

    func transform(_ block: inout some GradientBlock) {
        block.withElementsAndSlot { elements, kept in
            for index in elements.indices { (kept[index], elements[index]) = (elements[index], 0) }
        }
    }
}

/// A stage that leaves updates alone: behind an optimizer, it has it make its direction, and the engine move.
struct Bystander: GradientTransform {
    var effect: StageEffect { .linear }
    var canFail: Bool { false }
    func transform(_ block: inout some GradientBlock) {}
}

/// A stage that does nothing but bring a gradient into the condition that the subject expects or that ends a chain.
struct Turn: GradientScaling {
    let order: StageOrder

    init(_ before: GradientCondition, _ after: GradientCondition) {
        order = StageOrder(expects: [before], leaves: [after])
    }
}

/// A stage that vetoes steps when it is told to, after all stages before it have been prepared.
struct Veto: GradientScaling {
    /// Whether it is told to.
    final class Switch: Sendable {
        private let mutex = Mutex(false)
        var isOn: Bool {
            get { mutex.withLock { $0 } }
            set { mutex.withLock { $0 = newValue } }
        }
    }

    let isTold: Switch
    // Without something to measure it would be prepared before a stage that has something.
    var requirements: [Requirement] { [.norm(.l2)] }

    mutating func prepare(_ step: inout StepPreparation) {
        if isTold.isOn { step.veto("the kit skips this step") }
    }
}

/// A stage that takes the norm of the gradient that reaches it, for the report.
struct NormWitness: GradientScaling {
    let name = "NormWitness"
    var requirements: [Requirement] { [.norm(.l2)] }

    mutating func prepare(_ step: inout StepPreparation) {
        step.clip(step.layout.indices, norm: step.incoming.norm(.l2), to: .infinity, epsilon: 0)
    }
}

/// A stage whose factor, always 1/2, is known only when the gradient has been measured.
struct LateHalf: GradientScaling {
    var requirements: [Requirement] { [.norm(.l2)] }

    mutating func prepare(_ step: inout StepPreparation) {
        step.scale(by: step.incoming.norm(.l2) >= 0 ? 0.5 : 1)
    }
}
