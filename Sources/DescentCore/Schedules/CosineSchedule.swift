extension ScheduleConvertible where Self == Schedule {
    /// Falls along half a cosine, and stays at its end.
    ///
    ///     end + (initial - end) * (1 + cos(pi * min(t, decaySteps) / decaySteps)) / 2
    ///
    /// Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017); Optax's
    /// `cosine_decay_schedule`, PyTorch's `CosineAnnealingLR`.
    ///
    /// - Parameters:
    ///   - initial: The first value.
    ///   - end: The last value, from step `decaySteps` on.
    ///   - decaySteps: How many steps it takes, at least 1.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func cosine(initial: Double, end: Double = 0, decaySteps: Int) -> Schedule {
        Schedule(CosineSchedule(initial: initial, end: end, decaySteps: decaySteps))
    }

    /// Falls along half a cosine, again and again from the start.
    ///
    ///     end + (initial - end) * (1 + cos(pi * s / period)) / 2
    ///
    /// s counts steps since the last restart. The first period lasts `firstPeriod` steps, and each `periodFactor` times
    /// as long as the one before. Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017);
    /// PyTorch's `CosineAnnealingWarmRestarts`.
    ///
    /// - Parameters:
    ///   - initial: The value at each restart.
    ///   - end: What it falls to; the step that would have it is the first of the next period.
    ///   - firstPeriod: After how many steps it restarts for the first time, at least 1.
    ///   - periodFactor: How much longer each period is than the one before, at least 1.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func cosineWithWarmRestarts(
        initial: Double, end: Double = 0, firstPeriod: Int, periodFactor: Int = 1
    ) -> Schedule {
        Schedule(
            WarmRestartsSchedule(initial: initial, end: end, firstPeriod: firstPeriod, periodFactor: periodFactor))
    }
}

/// See ``ScheduleConvertible/cosine(initial:end:decaySteps:)``.
struct CosineSchedule: ScheduleRule {
    var initial: Double
    var end: Double
    var decaySteps: Int

    static var typeName: String { "cosine" }
    var description: String {
        "cosine from \(initial.shortDescription) to \(end.shortDescription) over \(decaySteps) steps"
    }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial, "end": end] }

    func value(at step: Int) -> Double {
        let angle = Self.pi * Float(min(step, decaySteps)) / Float(decaySteps)
        return end + (initial - end) * Self.shareLeft(angle)
    }

    func validate(for owner: String) throws(DescentError) {
        try requireSteps(decaySteps, "decaySteps", of: owner)
    }

    /// The float32 number nearest to pi; Swift's `Float.pi` is the next lower one.
    static var pi: Float { Float(Double.pi) }

    /// Half of 1 + cos(angle), rounded as in Optax, so that values near the end agree in all their digits.
    static func shareLeft(_ angle: Float) -> Double { Double((1 + ReproducibleMath.cosine(angle)) / 2) }
}

extension CosineSchedule {
    private enum CodingKeys: CodingKey { case initial, end, decaySteps }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            initial: settings.value(.initial), end: settings.value(.end, or: 0),
            decaySteps: settings.value(.decaySteps))
    }
}

/// See ``ScheduleConvertible/cosineWithWarmRestarts(initial:end:firstPeriod:periodFactor:)``.
struct WarmRestartsSchedule: ScheduleRule {
    var initial: Double
    var end: Double
    var firstPeriod: Int
    var periodFactor: Int

    static var typeName: String { "cosineWithWarmRestarts" }
    var description: String {
        "cosine from \(initial.shortDescription) to \(end.shortDescription), restarted after \(firstPeriod) steps"
            + (periodFactor == 1 ? "" : ", then \(periodFactor) times as many each")
    }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial, "end": end] }

    func value(at step: Int) -> Double {
        let (elapsed, period) = place(of: step)
        let progress = Double(elapsed) / Double(period)
        return end + (initial - end) * (1 + ReproducibleMath.cosine(halfTurns: progress)) / 2
    }

    /// How many steps ago the present period began, and how many it has.
    private func place(of step: Int) -> (elapsed: Int, period: Int) {
        if periodFactor == 1 { return (step % firstPeriod, firstPeriod) }
        var (elapsed, period) = (step, firstPeriod)
        while elapsed >= period {
            elapsed -= period
            let (longer, isTooLong) = period.multipliedReportingOverflow(by: periodFactor)
            period = isTooLong ? .max : longer
        }
        return (elapsed, period)
    }

    func validate(for owner: String) throws(DescentError) {
        try requireSteps(firstPeriod, "firstPeriod", of: owner)
        try requireSteps(periodFactor, "periodFactor", of: owner)
    }
}

extension WarmRestartsSchedule {
    private enum CodingKeys: CodingKey { case initial, end, firstPeriod, periodFactor }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            initial: settings.value(.initial), end: settings.value(.end, or: 0),
            firstPeriod: settings.value(.firstPeriod), periodFactor: settings.value(.periodFactor, or: 1))
    }
}
