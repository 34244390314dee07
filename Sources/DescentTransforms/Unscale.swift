public import DescentCore

/// Divides gradients by the loss scale, and skips steps whose gradients are not finite.
///
/// Multiply the loss by the pipeline's `lossScale` before taking gradients. The division costs no pass over memory, and
/// the check none if a norm is measured anyway.
///
/// With a dynamic scale, a window in which anything overflowed multiplies the scale by `backoffFactor` (once
/// `hysteresis` of them have come), and `growthInterval` applied steps in a row multiply it by `growthFactor`. The
/// scale changes only when a step has ended, so that it is one and the same for all micro-batches of a window.
///
/// The scale follows PyTorch's `torch.amp.GradScaler`; minimum, maximum and hysteresis are added.
public struct Unscale: GradientScaling {
    /// Float16's smallest normal number.
    private static let smallestHalf: Float = 0x1p-14

    /// How the scale is chosen.
    public var settings: LossScale
    /// The scale, and what leads to its next change; a scale that is shared is saved with each of its pipelines, between
    /// rounds.
    public var state: LossScaleState {
        get { shared?.state ?? own }
        set { if let shared { shared.state = newValue } else { own = newValue } }
    }
    private var own: LossScaleState
    private let shared: SharedLossScale?
    /// Whether other pipelines divide by the same scale.
    public var isShared: Bool { shared != nil }
    private var elementCount = 0

    /// Divides by a loss scale of the pipeline's own.
    public init(_ lossScale: LossScale = .dynamic()) {
        settings = lossScale
        own = LossScaleState(lossScale)
        shared = nil
    }

    /// Divides by a loss scale that other pipelines divide by too.
    public init(_ shared: SharedLossScale) {
        settings = shared.settings
        own = shared.state
        self.shared = shared
    }

    public var name: String {
        if shared != nil { return "Unscale(shared)" }
        if settings.adaptation != nil { return "Unscale(adaptive)" }
        return settings.isDynamic ? "Unscale(dynamic)" : "Unscale(\(settings.initial))"
    }
    public var order: StageOrder { StageOrder(expects: [.scaled], leaves: [.unscaled]) }
    public var requirements: [Requirement] { [.finite] }
    public var observations: [Requirement] {
        guard settings.adaptation != nil else { return [] }
        return [.norm(.lInfinity), .count(below: Self.smallestHalf), .count(below: .leastNonzeroMagnitude)]
    }
    public var lossScale: Float { shared?.scale ?? own.scale }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try settings.validate(for: name)
        try state.requireValid(for: settings, of: name)
        elementCount = layout.elementCount
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        step.scale(by: 1 / Double(lossScale))
    }

    public mutating func finish(_ result: StepResult) throws(DescentError) {
        // An update that left the range of Float says nothing about the scale of the gradients.
        guard result.divergedParameter == nil else { return }
        if let shared { return shared.note(result) }
        if let adaptation = settings.adaptation { return try follow(result, adaptation) }
        if let reason = result.nonFiniteReason { return try backOff(reason, result) }
        if result.isApplied { state.grow(settings) }
    }

    private mutating func backOff(_ reason: SkipReason, _ result: StepResult) throws(DescentError) {
        try state.backOff(settings, for: reason, isApplied: result.isApplied, stage: name)
    }

    private mutating func follow(
        _ result: StepResult, _ adaptation: LossScale.Adaptation
    ) throws(DescentError) {
        if let reason = result.nonFiniteReason {
            if state.scale <= settings.minimum { try backOff(reason, result) }
            return state.followOverflow(adaptation, settings)
        }
        guard result.isApplied else { return }
        let zeros = result.incoming.count(below: .leastNonzeroMagnitude)
        let small = result.incoming.count(below: Self.smallestHalf) - zeros
        state.smallShare = zeros < elementCount ? Float(small) / Float(elementCount - zeros) : 0
        state.follow(result.incoming.norm(.lInfinity) / Double(state.scale), adaptation, settings)
    }
}

extension Unscale: DescribedStage {
    private enum CodingKeys: CodingKey { case lossScale, shared }

    /// Reads the settings of the scale, or the name of one that is shared.
    public init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        guard let name = try settings.decodeIfPresent(String.self, forKey: .shared) else {
            try self.init(settings.value(.lossScale, or: .dynamic()))
            return
        }
        guard !settings.contains(.lossScale) else {
            throw DecodingError.dataCorruptedError(
                forKey: .lossScale, in: settings,
                debugDescription: "expected no settings beside the name of a shared loss scale, which has its own,")
        }
        guard let scale = decoder.userInfo.sharedLossScales[name] else {
            let nearest = name.nearest(among: decoder.userInfo.sharedLossScales.keys)
            let hint = nearest.map { " (did you mean \($0.quotedBriefly)?)" } ?? ""
            throw DecodingError.dataCorruptedError(
                forKey: .shared, in: settings,
                debugDescription:
                    "expected the name of a shared loss scale in the catalog\(hint), found \(name.quotedBriefly),")
        }
        self.init(scale)
    }

    public func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: CodingKeys.self)
        guard let shared else { return try settings.encode(self.settings, forKey: .lossScale) }
        guard let name = encoder.userInfo.sharedLossScales.first(where: { $0.value === shared })?.key else {
            throw DescentError(
                .invalidDocument, stage: self.name,
                "a loss scale that pipelines share is written down by its name; add it to the catalog")
        }
        try settings.encode(name, forKey: .shared)
    }
}
