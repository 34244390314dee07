extension ScheduleConvertible where Self == Schedule {
    /// Rises to a peak and falls to almost nothing, both along half cosines.
    ///
    ///     peak / initialDivisor  to  peak                                        until warmupShare * transitionSteps
    ///     peak                   to  peak / (initialDivisor * finalDivisor)      until transitionSteps
    ///
    /// It stays there. The steps at which pieces meet are rounded down; a piece of no steps is left out. Smith and Topin,
    /// "Super-convergence" (2018); Optax's `cosine_onecycle_schedule`, PyTorch's `OneCycleLR`, whose pieces are a step
    /// shorter.
    ///
    /// - Parameters:
    ///   - peak: The highest value.
    ///   - transitionSteps: How many steps the cycle takes, at least 1.
    ///   - warmupShare: The share of them in which it rises, in 0...1.
    ///   - initialDivisor: How many times lower than the peak it begins, finite and above 0.
    ///   - finalDivisor: How many times lower than it began it ends, finite and above 0.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func cosineOneCycle(
        peak: Double, transitionSteps: Int, warmupShare: Double = 0.3, initialDivisor: Double = 25,
        finalDivisor: Double = 10_000
    ) -> Schedule {
        Schedule(
            CosineOneCycleSchedule(
                OneCycle(
                    peak: peak, transitionSteps: transitionSteps, warmupShare: warmupShare,
                    initialDivisor: initialDivisor, finalDivisor: finalDivisor)))
    }

    /// Rises to a peak, falls to where it began, and from there to almost nothing, in three lines.
    ///
    ///     peak / initialDivisor  to  peak                                        until warmupShare * transitionSteps
    ///     peak                   to  peak / initialDivisor                       until finalShare * transitionSteps
    ///     peak / initialDivisor  to  peak / (initialDivisor * finalDivisor)      until transitionSteps
    ///
    /// It stays there. The steps at which pieces meet are rounded down; a piece of no steps is left out. Smith and Topin,
    /// "Super-convergence" (2018); Optax's `linear_onecycle_schedule`.
    ///
    /// - Parameters:
    ///   - peak: The highest value.
    ///   - transitionSteps: How many steps the cycle takes, at least 1.
    ///   - warmupShare: The share of them in which it rises, in 0...1.
    ///   - finalShare: The share after which the last line begins, from `warmupShare` to 1.
    ///   - initialDivisor: How many times lower than the peak it begins, finite and above 0.
    ///   - finalDivisor: How many times lower than it began it ends, finite and above 0.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func linearOneCycle(
        peak: Double, transitionSteps: Int, warmupShare: Double = 0.3, finalShare: Double = 0.85,
        initialDivisor: Double = 25, finalDivisor: Double = 10_000
    ) -> Schedule {
        let cycle = OneCycle(
            peak: peak, transitionSteps: transitionSteps, warmupShare: warmupShare, initialDivisor: initialDivisor,
            finalDivisor: finalDivisor)
        return Schedule(LinearOneCycleSchedule(cycle, finalShare: finalShare))
    }
}

/// What both kinds of cycles have.
struct OneCycle: Sendable {
    var peak: Double
    var transitionSteps: Int
    var warmupShare: Double
    var initialDivisor: Double
    var finalDivisor: Double

    var initial: Double { peak / initialDivisor }
    var end: Double { peak / (initialDivisor * finalDivisor) }
    var extremes: KeyValuePairs<String, Double> {
        ["peak": peak, "peak / initialDivisor": initial, "peak / (initialDivisor * finalDivisor)": end]
    }
    var description: String {
        "from \(initial.shortDescription) to \(peak.shortDescription) to \(end.shortDescription) in "
            + "\(transitionSteps) steps"
    }

    /// The step at which a share of the cycle is over.
    func step(after share: Double) -> Int { Int(share * Double(transitionSteps)) }

    func validate(for owner: String) throws(DescentError) {
        try requireSteps(transitionSteps, "transitionSteps", of: owner)
        try DescentError.require(
            (0...1).contains(warmupShare), owner, "warmupShare is \(warmupShare); it has to lie in 0...1.")
        try DescentError.requirePositive(initialDivisor, "initialDivisor", of: owner)
        try DescentError.requirePositive(finalDivisor, "finalDivisor", of: owner)
    }
}

extension OneCycle: Codable {
    private enum CodingKeys: CodingKey { case peak, transitionSteps, warmupShare, initialDivisor, finalDivisor }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            peak: settings.value(.peak), transitionSteps: settings.value(.transitionSteps),
            warmupShare: settings.value(.warmupShare, or: 0.3),
            initialDivisor: settings.value(.initialDivisor, or: 25),
            finalDivisor: settings.value(.finalDivisor, or: 10_000))
    }
}

/// See ``ScheduleConvertible/cosineOneCycle(peak:transitionSteps:warmupShare:initialDivisor:finalDivisor:)``.
struct CosineOneCycleSchedule: ScheduleRule {
    var cycle: OneCycle

    init(_ cycle: OneCycle) { self.cycle = cycle }
    init(from decoder: any Decoder) throws { cycle = try OneCycle(from: decoder) }
    func encode(to encoder: any Encoder) throws { try cycle.encode(to: encoder) }

    static var typeName: String { "cosineOneCycle" }
    var description: String { "cosine \(cycle.description)" }
    var extremes: KeyValuePairs<String, Double> { cycle.extremes }

    func value(at step: Int) -> Double {
        let top = cycle.step(after: cycle.warmupShare)
        if step < top { return between(cycle.initial, cycle.peak, Float(step) / Float(top)) }
        guard step < cycle.transitionSteps else { return cycle.end }
        return between(cycle.peak, cycle.end, Float(step - top) / Float(cycle.transitionSteps - top))
    }

    private func between(_ first: Double, _ last: Double, _ progress: Float) -> Double {
        last + (first - last) * CosineSchedule.shareLeft(CosineSchedule.pi * progress)
    }

    func validate(for owner: String) throws(DescentError) { try cycle.validate(for: owner) }
}

/// See ``ScheduleConvertible/linearOneCycle(peak:transitionSteps:warmupShare:finalShare:initialDivisor:finalDivisor:)``.
struct LinearOneCycleSchedule: ScheduleRule {
    var cycle: OneCycle
    var finalShare: Double

    init(_ cycle: OneCycle, finalShare: Double) {
        self.cycle = cycle
        self.finalShare = finalShare
    }

    static var typeName: String { "linearOneCycle" }
    var description: String { "lines \(cycle.description)" }
    var extremes: KeyValuePairs<String, Double> { cycle.extremes }

    func value(at step: Int) -> Double {
        let (top, last) = (cycle.step(after: cycle.warmupShare), cycle.step(after: finalShare))
        if step < top { return between(cycle.initial, cycle.peak, Float(step) / Float(top)) }
        if step < last { return between(cycle.peak, cycle.initial, Float(step - top) / Float(last - top)) }
        guard step < cycle.transitionSteps else { return cycle.end }
        return between(cycle.initial, cycle.end, Float(step - last) / Float(cycle.transitionSteps - last))
    }

    private func between(_ first: Double, _ last: Double, _ progress: Float) -> Double {
        first + (last - first) * Double(progress)
    }

    func validate(for owner: String) throws(DescentError) {
        try cycle.validate(for: owner)
        try DescentError.require(
            finalShare >= cycle.warmupShare && finalShare <= 1, owner,
            "finalShare is \(finalShare); it has to lie between warmupShare and 1.")
    }
}

extension LinearOneCycleSchedule {
    private enum CodingKeys: CodingKey { case finalShare }

    init(from decoder: any Decoder) throws {
        cycle = try OneCycle(from: decoder)
        finalShare = try decoder.container(keyedBy: CodingKeys.self).value(.finalShare, or: 0.85)
    }

    func encode(to encoder: any Encoder) throws {
        try cycle.encode(to: encoder)
        var settings = encoder.container(keyedBy: CodingKeys.self)
        try settings.encode(finalShare, forKey: .finalShare)
    }
}
