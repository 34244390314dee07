import DescentCore

extension LossScaleState {
    /// Refuses a scale that cannot be one of these settings'.
    func requireValid(for settings: LossScale, of stage: String) throws(DescentError) {
        try DescentError.requireState(
            scale >= settings.minimum && scale <= settings.maximum, stage,
            "the loss scale is \(scale), and it has to lie between \(settings.minimum) and \(settings.maximum)")
        try DescentError.requireState(
            appliedInARow >= 0 && appliedInARow < settings.growthInterval, stage,
            "\(appliedInARow) steps have been applied since the loss scale last changed, and it grows after "
                + "\(settings.growthInterval)")
        try DescentError.requireState(
            skipsLeft >= 1 && skipsLeft <= settings.hysteresis, stage,
            "\(skipsLeft) more steps may be skipped before the loss scale backs off, of \(settings.hysteresis)")
        try DescentError.requireState(
            (0...1).contains(smallShare), stage, "a share of \(smallShare) of the elements is small")
        try DescentError.requireState(
            largest.isValid, stage, "what is known of the largest magnitudes is not what a run can have seen")
    }
}

extension LossScaleState.RunningLogarithm {
    /// Whether means are those of logarithms of numbers that a `Double` can hold.
    fileprivate var isValid: Bool {
        let largest = 1_100.0
        func isMean(_ sum: Double, weight: Double, atMost limit: Double) -> Bool {
            // Weights approach 1, and are rounded in each step.
            sum.isFinite && (0...1.000_001).contains(weight) && abs(sum) <= limit * weight
        }
        return isMean(mean, weight: meanWeight, atMost: largest)
            && isMean(slowMean, weight: slowWeight, atMost: largest)
            && isMean(slowSquare, weight: slowWeight, atMost: largest * largest)
            && slowSquare >= 0 && (meanWeight == 0) == (slowWeight == 0)
    }
}
