/// How a loss scale is chosen.
///
/// Half-precision gradients below 2^-24 become 0. Multiplying the loss by a large number before gradients are taken,
/// and dividing gradients by it afterwards, keeps them; too large a number makes them overflow.
public struct LossScale: Sendable, Hashable {
    /// The first scale.
    public var initial: Float
    /// What the scale is multiplied by after `growthInterval` applied steps in a row; 1 for a static scale.
    public var growthFactor: Float
    /// What the scale is multiplied by after `hysteresis` skipped steps; 1 for a static scale.
    public var backoffFactor: Float
    /// How many applied steps in a row make the scale grow.
    public var growthInterval: Int
    /// How many skipped steps, since the scale last changed, make it back off.
    public var hysteresis: Int
    /// The scale never falls below this; a step skipped at it throws.
    public var minimum: Float
    /// The scale never grows above this.
    public var maximum: Float

    /// Grows while gradients are finite and backs off when they are not, as PyTorch's GradScaler does.
    public static func dynamic(
        initial: Float = 65_536, growthFactor: Float = 2, backoffFactor: Float = 0.5, growthInterval: Int = 2_000,
        hysteresis: Int = 1, minimum: Float = 1, maximum: Float = 16_777_216
    ) -> LossScale {
        LossScale(
            initial: initial, growthFactor: growthFactor, backoffFactor: backoffFactor,
            growthInterval: growthInterval, hysteresis: hysteresis, minimum: minimum, maximum: maximum)
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
