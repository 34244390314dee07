/// How a loss scale is chosen.
///
/// Half-precision gradients below 2^-24 become 0. Multiplying the loss by a large number before gradients are taken,
/// and dividing gradients by it afterwards, keeps them; too large a number makes them overflow.
public struct LossScale: Sendable, Hashable {
    /// The first scale.
    public var initial: Float
    /// What the scale is multiplied by after `growthInterval` applied steps in a row; 1 for a static scale.
    public var growthFactor: Double
    /// What the scale is multiplied by after `hysteresis` skipped steps; 1 for a static scale.
    public var backoffFactor: Double
    /// How many applied steps in a row make the scale grow.
    public var growthInterval: Int
    /// How many skipped steps, since the scale last changed, make it back off.
    public var hysteresis: Int
    /// The scale never falls below this; a step skipped at it throws.
    public var minimum: Float
    /// The scale never grows above this.
    public var maximum: Float
    /// How the scale follows the gradients, if it does not wait for an overflow.
    public var adaptation: Adaptation?

    /// How a scale follows the largest gradient.
    public struct Adaptation: Sendable, Hashable {
        /// How many deviations above the mean, in powers of two, the largest gradient is expected not to exceed.
        public var deviations: Float
        /// What the running mean keeps of itself in a step.
        public var meanDecay: Double
        /// What the running variance keeps of itself in a step.
        public var varianceDecay: Double
        /// The share of nonzero elements below Float16's smallest normal number from which the scale is raised.
        public var smallShareLimit: Float
    }

    /// Grows while gradients are finite and backs off when they are not, as PyTorch's GradScaler does.
    ///
    /// A float32 scale is multiplied by a Double factor, and rounded once: the bits are GradScaler's.
    public static func dynamic(
        initial: Float = 65_536, growthFactor: Double = 2, backoffFactor: Double = 0.5, growthInterval: Int = 2_000,
        hysteresis: Int = 1, minimum: Float = 1, maximum: Float = 16_777_216
    ) -> LossScale {
        LossScale(
            initial: initial, growthFactor: growthFactor, backoffFactor: backoffFactor,
            growthInterval: growthInterval, hysteresis: hysteresis, minimum: minimum, maximum: maximum)
    }

    /// Follows the largest gradient instead of waiting for an overflow.
    ///
    /// A running mean and deviation of log2 of the largest magnitude foretell what the next one will not exceed; the
    /// scale is the largest power of two that keeps it within Float16. If too many of the nonzero elements are still
    /// below 6.1e-5, Float16's smallest normal number, it is doubled as far as the last gradient would have allowed.
    /// The LogMax method of NVIDIA's OpenSeq2Seq, with a power of two, and the raise added. Costs nothing but two
    /// counts and a maximum in the sweep that checks gradients.
    ///
    /// - Parameters:
    ///   - initial: The first scale.
    ///   - deviations: How many deviations above the mean to leave room for.
    ///   - meanDecay: What the running mean keeps of itself in a step, in 0..<1.
    ///   - varianceDecay: What the running variance keeps of itself in a step, in 0..<1.
    ///   - smallShareLimit: The share of small elements from which the scale is raised, from 0 to 1.
    ///   - minimum: The scale never falls below this.
    ///   - maximum: The scale never grows above this.
    /// - Returns: The way to choose the scale; its settings are checked when a pipeline is built with it.
    public static func adaptive(
        initial: Float = 65_536, deviations: Float = 3.09, meanDecay: Double = 0.99, varianceDecay: Double = 0.999,
        smallShareLimit: Float = 0.05, minimum: Float = 1, maximum: Float = 16_777_216
    ) -> LossScale {
        LossScale(
            initial: initial, growthFactor: 2, backoffFactor: 0.5, growthInterval: .max, hysteresis: 1,
            minimum: minimum, maximum: maximum,
            adaptation: Adaptation(
                deviations: deviations, meanDecay: meanDecay, varianceDecay: varianceDecay,
                smallShareLimit: smallShareLimit))
    }

    /// Stays what it is.
    public static func `static`(_ scale: Float) -> LossScale {
        LossScale(
            initial: scale, growthFactor: 1, backoffFactor: 1, growthInterval: 1, hysteresis: 1, minimum: scale,
            maximum: scale)
    }

    /// Whether the scale can change.
    public var isDynamic: Bool { growthFactor != 1 || backoffFactor != 1 }
}
