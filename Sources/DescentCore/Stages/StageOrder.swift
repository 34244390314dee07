/// A condition that a gradient can be in, as far as the order of stages depends on it.
public enum GradientCondition: Sendable, Hashable, CaseIterable {
    /// Multiplied by the loss scale.
    case scaled
    /// At its true scale.
    case unscaled
    /// Of one micro-batch.
    case microBatch
    /// Of the whole accumulation window.
    case window
    /// Of this process alone.
    case local
    /// Reduced over all processes.
    case reduced
    /// What the loss says: in front of the optimizer.
    case gradient
    /// What the optimizer has made of it, before learning rate and sign: behind the optimizer.
    case update

    /// The questions that a condition can answer, each with the condition before and after.
    static let questions: [(before: GradientCondition, after: GradientCondition)] = [
        (.scaled, .unscaled), (.microBatch, .window), (.local, .reduced),
    ]

    var adjective: String {
        switch self {
        case .scaled: "still multiplied by the loss scale"
        case .unscaled: "already at their true scale"
        case .microBatch: "still those of a single micro-batch"
        case .window: "already accumulated over the window"
        case .local: "still local to this process"
        case .reduced: "already reduced over all processes"
        case .gradient: "those in front of the optimizer"
        case .update: "the optimizer's updates"
        }
    }
}

/// What a stage expects of the gradients that reach it, and what it leaves behind.
///
/// A chain whose stages contradict each other is refused when it is built: clipping before unscaling, unscaling
/// twice, accumulating twice.
public struct StageOrder: Sendable, Equatable {
    /// The conditions in which the stage works as it should.
    public let expects: Set<GradientCondition>
    /// The conditions that hold after it.
    public let leaves: Set<GradientCondition>

    /// Makes an order of expectations and consequences.
    public init(expects: Set<GradientCondition> = [], leaves: Set<GradientCondition> = []) {
        self.expects = expects
        self.leaves = leaves
    }

    /// For stages that work anywhere, like a constant factor.
    public static let anywhere = StageOrder()
    /// For stages whose settings are in units of the true gradient, like a clipping threshold.
    public static let trueGradients = StageOrder(expects: [.unscaled, .reduced])
    /// For stages that make sense behind an optimizer alone, like a trust ratio.
    public static let updates = StageOrder(expects: [.update])

    /// Refuses a chain whose stages contradict each other.
    ///
    /// A gradient starts out in the earlier condition of a pair (scaled, of a micro-batch, local) if the chain has a
    /// stage that turns it into the later one, otherwise in the later one.
    ///
    /// - Throws: ``DescentError`` with code `stageOrder` that names both stages and the order that would be right.
    static func check(_ stages: [any Stage]) throws(DescentError) {
        for stage in stages where stage.needsUpdates { throw wrongSide(stage) }
        for (before, after) in GradientCondition.questions {
            let turns = stages.indices.filter {
                stages[$0].order.expects.contains(before) && stages[$0].order.leaves.contains(after)
            }
            var condition = turns.isEmpty ? after : before
            var cause: Int?
            for (index, stage) in stages.enumerated() {
                if condition == before, stage.order.expects.contains(after) {
                    let remedy = turns.first { $0 > index }
                    throw tooEarly(stages, index, condition: before, cause: cause, remedy: remedy)
                }
                if condition == after, stage.order.expects.contains(before) {
                    throw twice(stages, index, condition: after, cause: cause)
                }
                if stage.order.leaves.contains(after) { (condition, cause) = (after, index) }
                if stage.order.leaves.contains(before) { (condition, cause) = (before, index) }
            }
            if condition == before, let cause {
                throw DescentError(
                    .stageOrder, stage: stages[cause].name,
                    "\(stages[cause].name) leaves gradients that are \(before.adjective), and no stage after it "
                        + "undoes that before the optimizer. Add the stage that does, or remove \(stages[cause].name).")
            }
        }
    }

    private static func wrongSide(_ stage: any Stage) -> DescentError {
        // A name tells settings in brackets if there are any; a call needs them in any case.
        let call = stage.name.hasSuffix(")") ? stage.name : "\(stage.name)()"
        return DescentError(
            .stageOrder, stage: stage.name,
            "\(stage.name) works on an optimizer's updates, but stands in front of it. Put it behind the optimizer: "
                + "`AdamW().then { \(call) }`.")
    }

    private static func tooEarly(
        _ stages: [any Stage], _ index: Int, condition: GradientCondition, cause: Int?,
        remedy: Int?
    ) -> DescentError {
        let name = stages[index].name
        guard let remedy else {
            let blame = cause.map { " since \(stages[$0].name)" } ?? ""
            return DescentError(
                .stageOrder, stage: name,
                "\(name) would work on gradients that are \(condition.adjective)\(blame), and no later stage changes that."
            )
        }
        // The stage that comes too early goes behind the remedy, so that both stay behind what stands between them.
        var right = stages.map(\.name)
        right.insert(right.remove(at: index), at: remedy)
        return DescentError(
            .stageOrder, stage: name,
            "\(name) stands before \(stages[remedy].name), so it would work on gradients that are "
                + "\(condition.adjective). The order that is right: \(right.joined(separator: ", ")).")
    }

    private static func twice(
        _ stages: [any Stage], _ index: Int, condition: GradientCondition, cause: Int?
    ) -> DescentError {
        let name = stages[index].name
        let culprit =
            cause.map { "\(stages[$0].name), stage \($0 + 1) of the chain, came first" } ?? "no stage scaled them"
        var right = stages.map(\.name)
        right.remove(at: index)
        return DescentError(
            .stageOrder, stage: name,
            "\(name), stage \(index + 1) of the chain, would work on gradients that are \(condition.adjective): \(culprit). "
                + "Keep one of the two: \(right.joined(separator: ", ")).")
    }
}

extension Stage {
    /// Whether there is nothing for the stage to do in front of an optimizer.
    fileprivate var needsUpdates: Bool {
        if case .transform(let transform) = element, transform.requirements.contains(.gradient) { return true }
        return order.expects.contains(.update)
    }
}
