public import DescentCore

/// Divides gradients by the loss scale, and skips steps whose gradients are not finite.
///
/// Multiply the loss by the pipeline's `lossScale` before taking gradients. Where gradients arrive as float32, the
/// division costs no pass over memory, and the check none if a norm is measured anyway.
///
/// With a dynamic scale, a step skipped for a NaN or an infinity multiplies the scale by `backoffFactor` (once
/// `hysteresis` of them have come), and `growthInterval` applied steps in a row multiply it by `growthFactor`. The
/// scale changes only when a step has ended, so that it is one and the same for all micro-batches of a window.
///
/// The scale follows PyTorch's `torch.amp.GradScaler`; minimum, maximum and hysteresis are added.
public struct Unscale: GradientScaling, LossScaling {
    /// The scale and what leads to its next change.
    public struct State: Codable, Sendable, Hashable {
        /// The loss scale.
        public internal(set) var scale: Float
        /// How many steps in a row have been applied since the scale last changed or a step was skipped.
        public internal(set) var appliedInARow = 0
        /// How many steps may still be skipped before the scale backs off.
        public internal(set) var skipsLeft: Int
    }

    /// How the scale is chosen.
    public let settings: LossScale
    public var state: State

    /// Divides by a loss scale.
    public init(_ lossScale: LossScale = .dynamic()) {
        settings = lossScale
        state = State(scale: lossScale.initial, skipsLeft: lossScale.hysteresis)
    }

    public var name: String { settings.isDynamic ? "Unscale(dynamic)" : "Unscale(\(settings.initial))" }
    public var order: StageOrder { StageOrder(expects: [.scaled], leaves: [.unscaled]) }
    public var requirements: [Requirement] { [.finite] }
    public var lossScale: Float { state.scale }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.requirePositive(settings.initial, "the loss scale", of: name)
        try DescentError.requirePositive(settings.minimum, "minimum", of: name)
        try DescentError.requirePositive(settings.maximum, "maximum", of: name)
        try DescentError.require(
            settings.minimum <= settings.initial && settings.initial <= settings.maximum, name,
            "the initial scale \(settings.initial) has to lie between the minimum \(settings.minimum) and the maximum "
                + "\(settings.maximum).")
        try DescentError.require(
            settings.growthFactor.isFinite && settings.growthFactor >= 1, name,
            "growthFactor is \(settings.growthFactor); it has to be a finite number of at least 1.")
        try DescentError.require(
            settings.backoffFactor > 0 && settings.backoffFactor <= 1, name,
            "backoffFactor is \(settings.backoffFactor); it has to lie above 0 and not above 1.")
        try DescentError.require(
            settings.growthInterval >= 1, name, "growthInterval is \(settings.growthInterval); it has to be at least 1."
        )
        try DescentError.require(
            settings.hysteresis >= 1, name, "hysteresis is \(settings.hysteresis); it has to be at least 1.")
    }

    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        step.scale(by: 1 / state.scale)
    }

    public mutating func finish(_ conclusion: StepConclusion) throws(DescentError) {
        guard let reason = conclusion.skipReason else { return grow() }
        if reason.code == .nonFinite { try backOff(reason) }
    }

    private mutating func grow() {
        state.appliedInARow += 1
        guard state.appliedInARow >= settings.growthInterval else { return }
        state.appliedInARow = 0
        state.skipsLeft = settings.hysteresis
        state.scale = min(state.scale * settings.growthFactor, settings.maximum)
    }

    private mutating func backOff(_ reason: SkipReason) throws(DescentError) {
        state.appliedInARow = 0
        guard settings.isDynamic else { return }
        guard state.scale > settings.minimum else {
            throw DescentError(
                .lossScaleExhausted, parameter: reason.parameter, stage: name,
                "\(name): the loss scale has fallen to its minimum of \(settings.minimum) and \(reason). The model "
                    + "itself produces values that are not finite; lower the learning rate or clip.")
        }
        state.skipsLeft -= 1
        guard state.skipsLeft <= 0 else { return }
        state.skipsLeft = settings.hysteresis
        state.scale = max(state.scale * settings.backoffFactor, settings.minimum)
    }
}
