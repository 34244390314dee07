extension Schedule {
    /// This schedule, and from a step on another one, which counts from there: Optax's `join_schedules`.
    ///
    ///     t < step:    this one after t steps
    ///     otherwise:   the other one after t - step steps
    ///
    /// ```swift
    /// .constant(0.1).then(.cosine(initial: 0.1, decaySteps: 900), at: 100)
    /// ```
    /// Of two that follow a metric, each is told it only while its turn lasts.
    ///
    /// - Parameters:
    ///   - next: The schedule that takes over.
    ///   - step: The number of applied steps at which it does, counted from the very beginning and above that of any
    ///     earlier `then`.
    /// - Returns: Both, joined.
    public func then(_ next: Schedule, at step: Int) -> Schedule {
        if case .rule(let rule) = kind, let joined = rule as? JoinedSchedule {
            return Schedule(
                JoinedSchedule(schedules: joined.schedules + [next], boundaries: joined.boundaries + [step]))
        }
        return Schedule(JoinedSchedule(schedules: [self, next], boundaries: [step]))
    }

    /// A line from a value to where this schedule begins, and then this schedule, which counts from there.
    ///
    ///     t < warmup:  initial + (first value - initial) * t / warmup
    ///     otherwise:   this schedule after t - warmup steps
    ///
    /// PyTorch's `LinearLR` in front of another schedule. A schedule that follows a metric is told it only once it has
    /// begun.
    ///
    /// - Parameters:
    ///   - warmup: The number of rising steps, at least 1.
    ///   - initial: The first value; with 0, the first applied step moves no parameter.
    /// - Returns: This schedule behind its warm-up.
    public func warmedUp(over warmup: Int, from initial: Double = 0) -> Schedule {
        Schedule(WarmedUpSchedule(schedule: self, warmup: warmup, initial: initial))
    }
}

/// See ``Schedule/then(_:at:)``.
struct JoinedSchedule: ScheduleRule {
    var schedules: [Schedule]
    /// For each schedule but the first, after how many steps it begins.
    var boundaries: [Int]

    static var typeName: String { "joined" }
    var description: String {
        let others = zip(boundaries, schedules.dropFirst()).map { "; from step \($0) on \($1)" }
        return (schedules.first?.description ?? "") + others.joined()
    }
    var parts: [Schedule] { schedules }

    func value(at step: Int) -> Double {
        let (index, start) = part(at: step)
        return schedules[index].unroundedValue(at: step - start)
    }

    /// Which schedule has its turn, and since which step.
    private func part(at step: Int) -> (index: Int, start: Int) {
        var (index, start) = (0, 0)
        while index < boundaries.count, boundaries[index] <= step {
            start = boundaries[index]
            index += 1
        }
        return (index, start)
    }

    func validate(for owner: String) throws(DescentError) {
        try DescentError.require(
            schedules.count == boundaries.count + 1, owner,
            "\(schedules.count) schedules need a boundary between each and the next; there are \(boundaries.count).")
        var last = 0
        for boundary in boundaries {
            try DescentError.require(
                boundary > last, owner,
                "schedules are joined at \(boundaries.map(String.init).joined(separator: ", ")); each boundary has to be "
                    + "above 0 and above the one before.")
            last = boundary
        }
    }

    mutating func note(metric: Double, at step: Int) {
        let (index, start) = part(at: step)
        schedules[index].note(metric: metric, at: step - start)
    }

    var metricState: MetricState { MetricState(parts: schedules.map(\.metricState)) }

    mutating func resume(_ state: MetricState) throws(DescentError) {
        guard state.parts.count == schedules.count else {
            throw DescentError(
                .stateMismatch,
                "\(schedules.count) joined schedules cannot go on from what \(state.parts.count) remembered of metrics."
            )
        }
        for (index, part) in state.parts.enumerated() { try schedules[index].resume(part) }
    }
}

/// See ``Schedule/warmedUp(over:from:)``.
struct WarmedUpSchedule: ScheduleRule {
    var schedule: Schedule
    var warmup: Int
    var initial: Double

    static var typeName: String { "warmedUp" }
    var description: String { "warm-up from \(initial.shortDescription) over \(warmup) steps, then \(schedule)" }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial] }
    var parts: [Schedule] { [schedule] }

    func value(at step: Int) -> Double {
        guard step < warmup else { return schedule.unroundedValue(at: step - warmup) }
        let peak = schedule.unroundedValue(at: 0)
        return initial + (peak - initial) * Double(step) / Double(warmup)
    }

    func validate(for owner: String) throws(DescentError) { try requireSteps(warmup, "warmup", of: owner) }

    mutating func note(metric: Double, at step: Int) {
        if step >= warmup { schedule.note(metric: metric, at: step - warmup) }
    }

    var metricState: MetricState { MetricState(parts: [schedule.metricState]) }

    mutating func resume(_ state: MetricState) throws(DescentError) {
        guard state.parts.count == 1 else {
            throw DescentError(
                .stateMismatch, "a warm-up cannot go on from what \(state.parts.count) schedules remembered of metrics."
            )
        }
        try schedule.resume(state.parts[0])
    }
}

extension WarmedUpSchedule {
    private enum CodingKeys: CodingKey { case schedule, warmup, initial }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            schedule: settings.value(.schedule), warmup: settings.value(.warmup),
            initial: settings.value(.initial, or: 0))
    }
}
