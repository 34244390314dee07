extension ScheduleConvertible where Self == Schedule {
    /// Stays the same as long as a metric gets better, and falls when it has not for a while.
    ///
    ///     after more than `patience` metrics in a row that are no better than the best:
    ///     value = max(value * factor, minimum), and the next `cooldown` metrics do not count
    ///
    /// The training loop tells the metric, such as the loss on validation data after each epoch. PyTorch's
    /// `ReduceLROnPlateau`. It can be used for learning rates and weight decays, behind a warm-up too.
    ///
    /// - Parameters:
    ///   - initial: The first value.
    ///   - factor: What it is multiplied by, above 0 and below 1.
    ///   - patience: How many metrics in a row may be no better, at least 0.
    ///   - goal: Whether the metric is to become low, as a loss, or high, as an accuracy.
    ///   - threshold: By how much a metric has to be better than the best to count, finite and at least 0.
    ///   - thresholdMode: Whether that is a share of the best metric or a difference from it.
    ///   - cooldown: How many metrics after a reduction do not count, at least 0.
    ///   - minimum: The lowest value, at most `initial`.
    ///   - smallestChange: A reduction by no more than this is left out, finite and at least 0.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func reduceOnPlateau(
        initial: Double, factor: Double = 0.1, patience: Int = 10, goal: PlateauGoal = .minimize,
        threshold: Double = 1e-4, thresholdMode: PlateauThreshold = .relative, cooldown: Int = 0, minimum: Double = 0,
        smallestChange: Double = 1e-8
    ) -> Schedule {
        Schedule(
            PlateauSchedule(
                initial: initial, factor: factor, patience: patience, goal: goal, threshold: threshold,
                thresholdMode: thresholdMode, cooldown: cooldown, minimum: minimum, smallestChange: smallestChange))
    }
}

/// Which metrics are better: those of a loss, or those of an accuracy.
public enum PlateauGoal: String, Codable, Sendable, CaseIterable {
    /// Lower metrics are better.
    case minimize
    /// Higher metrics are better.
    case maximize
}

/// How a metric's distance from the best one is measured.
public enum PlateauThreshold: String, Codable, Sendable, CaseIterable {
    /// As a share of the best: with `minimize`, below best * (1 - threshold).
    case relative
    /// As a difference: with `minimize`, below best - threshold.
    case absolute
}

/// See ``ScheduleConvertible/reduceOnPlateau(initial:factor:patience:goal:threshold:thresholdMode:cooldown:minimum:smallestChange:)``.
struct PlateauSchedule: ScheduleRule {
    let initial: Double
    let factor: Double
    let patience: Int
    let goal: PlateauGoal
    let threshold: Double
    let thresholdMode: PlateauThreshold
    let cooldown: Int
    let minimum: Double
    let smallestChange: Double
    private var progress: Progress

    /// What has come of the metrics so far.
    private struct Progress: Sendable {
        var value: Double
        /// How many metrics in a row were no better.
        var disappointments = 0
        var cooldownLeft = 0
        /// Nil before the first metric.
        var best: Double?
    }

    init(
        initial: Double, factor: Double, patience: Int, goal: PlateauGoal, threshold: Double,
        thresholdMode: PlateauThreshold, cooldown: Int, minimum: Double, smallestChange: Double
    ) {
        self.initial = initial
        self.factor = factor
        self.patience = patience
        self.goal = goal
        self.threshold = threshold
        self.thresholdMode = thresholdMode
        self.cooldown = cooldown
        self.minimum = minimum
        self.smallestChange = smallestChange
        progress = Progress(value: initial)
    }

    static var typeName: String { "reduceOnPlateau" }
    var description: String {
        "\(initial.shortDescription), times \(factor.shortDescription) after more than \(patience) metrics without progress"
    }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial, "minimum": minimum] }
    var followsMetric: Bool { true }

    func value(at step: Int) -> Double { progress.value }

    func validate(for owner: String) throws(DescentError) {
        try DescentError.require(
            factor > 0 && factor < 1, owner, "factor is \(factor); it has to lie above 0 and below 1.")
        try requireSteps(patience, "patience", of: owner, atLeast: 0)
        try requireSteps(cooldown, "cooldown", of: owner, atLeast: 0)
        try DescentError.require(
            threshold.isFinite && threshold >= 0, owner,
            "threshold is \(threshold); it has to be a finite number of at least 0.")
        try DescentError.require(
            smallestChange.isFinite && smallestChange >= 0, owner,
            "smallestChange is \(smallestChange); it has to be a finite number of at least 0.")
        try DescentError.require(
            minimum <= initial, owner, "minimum is \(minimum); it has to be at most the initial value, \(initial).")
    }

    // MARK: Metrics

    mutating func note(metric: Double, at step: Int) {
        if isBetter(metric) {
            progress.best = metric
            progress.disappointments = 0
        } else {
            progress.disappointments += 1
        }
        if progress.cooldownLeft > 0 {
            progress.cooldownLeft -= 1
            progress.disappointments = 0
        }
        guard progress.disappointments > patience else { return }
        progress.disappointments = 0
        progress.cooldownLeft = cooldown
        let reduced = max(progress.value * factor, minimum)
        if progress.value - reduced > smallestChange { progress.value = reduced }
    }

    private func isBetter(_ metric: Double) -> Bool {
        guard let best = progress.best else { return metric != (goal == .minimize ? .infinity : -.infinity) }
        switch (goal, thresholdMode) {
        case (.minimize, .relative): return metric < best * (1 - threshold)
        case (.minimize, .absolute): return metric < best - threshold
        case (.maximize, .relative): return metric > best * (1 + threshold)
        case (.maximize, .absolute): return metric > best + threshold
        }
    }

    var metricState: MetricState {
        let counts = [Double(progress.disappointments), Double(progress.cooldownLeft)]
        return MetricState(
            numbers: [progress.value] + counts + (progress.best.map { [$0] } ?? []),
            parts: [MetricState(numbers: [initial])])
    }

    mutating func resume(_ state: MetricState) throws(DescentError) {
        let (numbers, began) = (state.numbers, state.parts.first?.numbers ?? [initial])
        guard numbers.count == 3 || numbers.count == 4, state.parts.count < 2, began.count == 1, numbers[0].isFinite,
            let disappointments = Int(exactly: numbers[1]), let cooldownLeft = Int(exactly: numbers[2]),
            disappointments >= 0, cooldownLeft >= 0, numbers.count == 3 || !numbers[3].isNaN
        else {
            throw DescentError(
                .stateMismatch, "what is saved of a metric, \(numbers), is not what reduceOnPlateau remembers.")
        }
        // One that is to begin elsewhere has its way.
        guard began == [initial] else { return }
        progress = Progress(
            value: max(numbers[0], minimum), disappointments: disappointments, cooldownLeft: cooldownLeft,
            best: numbers.count == 4 ? numbers[3] : nil)
    }
}

/// Written as its settings; what has come of metrics is in checkpoints.
extension PlateauSchedule {
    private enum CodingKeys: CodingKey {
        case initial, factor, patience, goal, threshold, thresholdMode, cooldown, minimum, smallestChange
    }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            initial: settings.value(.initial), factor: settings.value(.factor, or: 0.1),
            patience: settings.value(.patience, or: 10), goal: settings.value(.goal, or: .minimize),
            threshold: settings.value(.threshold, or: 1e-4),
            thresholdMode: settings.value(.thresholdMode, or: .relative), cooldown: settings.value(.cooldown, or: 0),
            minimum: settings.value(.minimum, or: 0), smallestChange: settings.value(.smallestChange, or: 1e-8))
    }

    func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: CodingKeys.self)
        try settings.encode(initial, forKey: .initial)
        try settings.encode(factor, forKey: .factor)
        try settings.encode(patience, forKey: .patience)
        try settings.encode(goal, forKey: .goal)
        try settings.encode(threshold, forKey: .threshold)
        try settings.encode(thresholdMode, forKey: .thresholdMode)
        try settings.encode(cooldown, forKey: .cooldown)
        try settings.encode(minimum, forKey: .minimum)
        try settings.encode(smallestChange, forKey: .smallestChange)
    }
}
