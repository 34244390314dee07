import DescentCore

/// A loss scale and what leads to its next change.
public struct LossScaleState: Codable, Sendable, Hashable {
    /// The loss scale.
    public internal(set) var scale: Float
    /// How many steps in a row have been applied since the scale last changed or a step was skipped.
    public internal(set) var appliedInARow = 0
    /// How many steps may still be skipped before the scale backs off.
    public internal(set) var skipsLeft: Int
    /// The share of nonzero elements below Float16's smallest normal number, in the last step of an adaptive scale.
    public internal(set) var smallShare: Float = 0
    /// What is known of log2 of the largest magnitude.
    var largest = RunningLogarithm()

    /// A running mean, and a running variance of its own decay, each corrected for its start at 0.
    struct RunningLogarithm: Codable, Sendable, Hashable {
        var mean = 0.0
        var meanWeight = 0.0
        var slowMean = 0.0
        var slowSquare = 0.0
        var slowWeight = 0.0

        mutating func add(_ value: Double, meanDecay: Double, varianceDecay: Double) {
            mean = meanDecay * mean + (1 - meanDecay) * value
            meanWeight = meanDecay * meanWeight + (1 - meanDecay)
            slowMean = varianceDecay * slowMean + (1 - varianceDecay) * value
            slowSquare = varianceDecay * slowSquare + (1 - varianceDecay) * value * value
            slowWeight = varianceDecay * slowWeight + (1 - varianceDecay)
        }

        func bound(deviations: Double) -> Double {
            let center = slowMean / slowWeight
            let variance = max(0, slowSquare / slowWeight - center * center)
            return mean / meanWeight + deviations * variance.squareRoot()
        }
    }

    init(_ settings: LossScale) {
        scale = settings.initial
        skipsLeft = settings.hysteresis
    }

    /// Takes note of an applied step.
    mutating func grow(_ settings: LossScale) {
        appliedInARow += 1
        guard appliedInARow >= settings.growthInterval else { return }
        appliedInARow = 0
        skipsLeft = settings.hysteresis
        scale = min(Float(Double(scale) * settings.growthFactor), settings.maximum)
    }

    /// Takes note of an overflow, in all of a window or in micro-batches that were left out of one that was applied.
    ///
    /// - Throws: `DescentError` with code `lossScaleExhausted` if the scale is at its minimum and the step
    ///   was skipped.
    mutating func backOff(
        _ settings: LossScale, for cause: SkipReason, isApplied: Bool, stage: String
    ) throws(DescentError) {
        appliedInARow = 0
        guard settings.isDynamic else { return }
        guard scale > settings.minimum else {
            if isApplied { return }
            throw DescentError(
                .lossScaleExhausted, parameter: cause.parameter, stage: stage,
                "\(stage): the loss scale has fallen to its minimum of \(settings.minimum) and \(cause). The model "
                    + "itself produces values that are not finite; lower the learning rate or clip.")
        }
        skipsLeft -= 1
        guard skipsLeft <= 0 else { return }
        skipsLeft = settings.hysteresis
        scale = max(Float(Double(scale) * settings.backoffFactor), settings.minimum)
    }

    /// Follows the largest magnitude of a step's gradient, at its true scale.
    mutating func follow(_ magnitude: Double, _ adaptation: LossScale.Adaptation, _ settings: LossScale) {
        guard magnitude > 0 else { return }
        note(ReproducibleMath.logarithmBase2(magnitude), adaptation)
        var next = predicted(adaptation, settings)
        if smallShare > adaptation.smallShareLimit, Double(next) * 2 * magnitude <= 65_504 {
            next = min(next * 2, settings.maximum)
        }
        scale = next
    }

    /// Follows a gradient that overflowed: all that is known is that it was too large for this scale.
    mutating func followOverflow(_ adaptation: LossScale.Adaptation, _ settings: LossScale) {
        note(17 - ReproducibleMath.logarithmBase2(Double(scale)), adaptation)
        scale = max(settings.minimum, min(scale / 2, predicted(adaptation, settings)))
    }

    private mutating func note(_ logarithm: Double, _ adaptation: LossScale.Adaptation) {
        largest.add(
            logarithm, meanDecay: adaptation.meanDecay, varianceDecay: adaptation.varianceDecay)
    }

    private func predicted(_ adaptation: LossScale.Adaptation, _ settings: LossScale) -> Float {
        let room = 16 - largest.bound(deviations: Double(adaptation.deviations))
        let power = ReproducibleMath.exponentialBase2(room.rounded(.down))
        return min(settings.maximum, max(settings.minimum, Float(power)))
    }
}

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
