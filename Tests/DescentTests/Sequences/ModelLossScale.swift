/// A loss scale in the plainest way.
struct ModelLossScale {
    let setting: ScaleSetting
    var scale: Float
    var appliedInARow = 0
    var skipsLeft: Int

    init(_ setting: ScaleSetting) {
        self.setting = setting
        scale = setting.initial
        skipsLeft = setting.hysteresis
    }

    /// Takes note of an applied step in which nothing overflowed.
    mutating func grow() {
        appliedInARow += 1
        guard setting.isDynamic, appliedInARow >= setting.growthInterval else { return }
        appliedInARow = 0
        skipsLeft = setting.hysteresis
        scale = min(scale * 2, setting.maximum)
    }

    /// Takes note of an overflow; tells whether the scale is at its minimum already.
    mutating func backOff() -> Bool {
        appliedInARow = 0
        guard setting.isDynamic else { return false }
        guard scale > setting.minimum else { return true }
        skipsLeft -= 1
        guard skipsLeft <= 0 else { return false }
        skipsLeft = setting.hysteresis
        scale = max(scale / 2, setting.minimum)
        return false
    }
}

/// A loss scale that several models share.
final class SharedModelLossScale {
    var scale: ModelLossScale
    var hasOverflowed = false
    var isApplied = false

    init(_ setting: ScaleSetting) { scale = ModelLossScale(setting) }

    /// Ends a round; tells whether the scale is exhausted.
    func update() -> Bool {
        defer { (hasOverflowed, isApplied) = (false, false) }
        if hasOverflowed { return scale.backOff() }
        if isApplied { scale.grow() }
        return false
    }

    /// Goes back to a scale that was saved, which forgets the round.
    func restore(_ scale: ModelLossScale) {
        self.scale = scale
        (hasOverflowed, isApplied) = (false, false)
    }
}
