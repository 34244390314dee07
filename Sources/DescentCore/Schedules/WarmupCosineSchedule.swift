extension ScheduleConvertible where Self == Schedule {
    /// Rises in a line from `initial` to `peak`, then falls along half a cosine to `end`, and stays there.
    ///
    ///     t < warmup:  initial + (peak - initial) * t / warmup
    ///     otherwise:   end + (peak - end) * (1 + cos(pi * (t - warmup) / (total - warmup))) / 2
    ///
    /// As `initial` is 0 by default, the first applied step (t = 0) moves no parameter: behind `Accumulate(steps: 4)`, the
    /// first four batches teach nothing but the optimizer's moments. `initial: peak / Double(warmup)` begins to learn at
    /// once. Where `warmup` is 0, the first step is at `peak`. Optax's `warmup_cosine_decay_schedule`.
    ///
    /// - Parameters:
    ///   - peak: The value at the end of the warm-up.
    ///   - warmup: The number of rising steps, from 0 to below `total`.
    ///   - total: The number of all steps, warm-up included.
    ///   - initial: The first value.
    ///   - end: The last value.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func warmupCosine(
        peak: Double, warmup: Int, total: Int, initial: Double = 0, end: Double = 0
    ) -> Schedule {
        Schedule(WarmupCosineSchedule(peak: peak, warmup: warmup, total: total, initial: initial, end: end))
    }
}

/// See ``ScheduleConvertible/warmupCosine(peak:warmup:total:initial:end:)``.
struct WarmupCosineSchedule: ScheduleRule {
    var peak: Double
    var warmup: Int
    var total: Int
    var initial: Double
    var end: Double

    static var typeName: String { "warmupCosine" }
    var description: String {
        "warm-up to \(peak.shortDescription) over \(warmup) steps, cosine to \(end.shortDescription) at \(total)"
    }
    var extremes: KeyValuePairs<String, Double> { ["peak": peak, "initial": initial, "end": end] }

    func value(at step: Int) -> Double {
        if step < warmup { return initial + (peak - initial) * Double(step) / Double(warmup) }
        let progress = min(1, Double(step - warmup) / Double(total - warmup))
        return end + (peak - end) * (1 + ReproducibleMath.cosine(halfTurns: progress)) / 2
    }

    func validate(for owner: String) throws(DescentError) {
        try DescentError.require(
            warmup >= 0 && warmup < total, owner,
            "the warm-up of \(warmup) steps has to lie within the schedule's total of \(total).")
    }
}

extension WarmupCosineSchedule {
    private enum CodingKeys: CodingKey { case peak, warmup, total, initial, end }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            peak: settings.value(.peak), warmup: settings.value(.warmup), total: settings.value(.total),
            initial: settings.value(.initial, or: 0), end: settings.value(.end, or: 0))
    }
}
