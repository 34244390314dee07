public import DescentCore
import Synchronization

/// One loss scale for several pipelines, such as the two of a generative adversarial network.
///
/// Each pipeline skips its own steps. The scale changes once a round, when ``update()`` is called after the last of
/// them has stepped: an overflow in any makes it back off, as with PyTorch's `GradScaler.update()`. A round may
/// end inside an accumulation window, whose sum is brought to the new scale.
/// ```swift
/// let scale = try SharedLossScale(.dynamic())
/// var generator = try Pipeline(for: g) { Unscale(scale) } driving: { AdamW() }
/// var discriminator = try Pipeline(for: d) { Unscale(scale) } driving: { AdamW() }
/// ```
public final class SharedLossScale: Sendable {
    private struct Round {
        var state: LossScaleState
        /// The state that the rest was noted in.
        private let noted: LossScaleState
        var overflow: SkipReason?
        /// Whether any pipeline's step was applied, or skipped for an overflow.
        var isApplied = false
        var isSkipped = false

        init(_ state: LossScaleState) { (self.state, noted) = (state, state) }

        /// Forgets what was noted in another state than is there now.
        ///
        /// Not when a state is put in: one that is refused is taken out again, and most are what was there.
        mutating func forgetOtherState() {
            if noted != state { self = Round(state) }
        }
    }

    /// How the scale is chosen.
    public let settings: LossScale
    private let round: Mutex<Round>

    /// Makes a scale to be shared.
    ///
    /// - Throws: `DescentError` for settings out of range, and for an adaptive scale, which follows one
    ///   pipeline's gradients.
    public init(_ settings: LossScale = .dynamic()) throws(DescentError) {
        try settings.validate(for: "SharedLossScale")
        try DescentError.require(
            settings.adaptation == nil, "SharedLossScale",
            "an adaptive scale follows one pipeline and cannot be shared.")
        self.settings = settings
        round = Mutex(Round(LossScaleState(settings)))
    }

    /// The scale, and what leads to its next change.
    ///
    /// What pipelines have noted since the last ``update()`` is not part of it, and is forgotten once another is set.
    public internal(set) var state: LossScaleState {
        get { round.withLock { $0.state } }
        set { round.withLock { $0.state = newValue } }
    }

    /// What every loss is to be multiplied by in this round.
    public var scale: Float { state.scale }

    /// Ends a round: the scale backs off if a gradient overflowed in it, or counts it towards growth.
    ///
    /// - Throws: `DescentError` with code `lossScaleExhausted` if the scale is at its minimum.
    public func update() throws(DescentError) {
        let settings = settings
        let failure: DescentError? = round.withLock { round in
            round.forgetOtherState()
            defer { round = Round(round.state) }
            guard let overflow = round.overflow else {
                if round.isApplied { round.state.grow(settings) }
                return nil
            }
            do throws(DescentError) {
                try round.state.backOff(
                    settings, for: overflow, isApplied: round.isApplied && !round.isSkipped, stage: "SharedLossScale")
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    /// Takes note of how one pipeline's step ended.
    func note(_ result: StepResult) {
        round.withLock { round in
            round.forgetOtherState()
            if let reason = result.nonFiniteReason {
                round.overflow = round.overflow ?? reason
                if !result.isApplied { round.isSkipped = true }
            }
            if result.isApplied { round.isApplied = true }
        }
    }
}

extension CodingUserInfoKey {
    /// Under which decoders and encoders hold the shared loss scales that a document may name: `[String: SharedLossScale]`.
    public static var sharedLossScales: CodingUserInfoKey? { CodingUserInfoKey(rawValue: "descent.sharedLossScales") }
}

extension [CodingUserInfoKey: Any] {
    /// The shared loss scales that a document may name.
    var sharedLossScales: [String: SharedLossScale] {
        CodingUserInfoKey.sharedLossScales.flatMap { self[$0] as? [String: SharedLossScale] } ?? [:]
    }
}
