extension ScheduleConvertible where Self == Schedule {
    /// Stays the same between given steps, and is multiplied by a factor at each of them.
    ///
    ///     initial * the factors of all boundaries of at most t
    ///
    /// Optax's `piecewise_constant_schedule`; PyTorch's `MultiStepLR` has the same factor everywhere.
    ///
    /// - Parameters:
    ///   - initial: The first value.
    ///   - boundaries: The factors, by the numbers of applied steps, at least 0, from which on they hold:
    ///     `[30: 0.1, 60: 0.5]`.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func piecewiseConstant(initial: Double, boundaries: [Int: Double]) -> Schedule {
        let boundaries = boundaries.sorted { $0.key < $1.key }
        return Schedule(PiecewiseConstantSchedule(initial: initial, boundaries: boundaries.map { ($0, $1) }))
    }

    /// Is multiplied by a factor every so many steps: initial * factor^floor(t / everySteps).
    ///
    /// PyTorch's `StepLR`.
    ///
    /// - Parameters:
    ///   - initial: The first value.
    ///   - factor: What it is multiplied by, finite and above 0.
    ///   - everySteps: After how many steps, at least 1.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func stepDecay(initial: Double, factor: Double, everySteps: Int) -> Schedule {
        Schedule(StepDecaySchedule(initial: initial, factor: factor, everySteps: everySteps))
    }
}

/// See ``ScheduleConvertible/piecewiseConstant(initial:boundaries:)``.
struct PiecewiseConstantSchedule: ScheduleRule {
    var initial: Double
    /// In the order of steps.
    var boundaries: [(step: Int, factor: Double)]

    static var typeName: String { "piecewiseConstant" }
    var description: String {
        let factors = boundaries.map { ", times \($0.factor.shortDescription) from step \($0.step) on" }
        return initial.shortDescription + factors.joined()
    }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial] }

    func value(at step: Int) -> Double {
        var value = initial
        for boundary in boundaries where boundary.step <= step { value *= boundary.factor }
        return value
    }

    func validate(for owner: String) throws(DescentError) {
        for (step, factor) in boundaries {
            try requireSteps(step, "a boundary", of: owner, atLeast: 0)
            try DescentError.requirePositive(factor, "the factor at boundary \(step)", of: owner)
        }
    }
}

/// Boundaries are written as an object: `{"piecewiseConstant": {"initial": 1, "boundaries": {"30": 0.1}}}`.
extension PiecewiseConstantSchedule {
    private enum CodingKeys: CodingKey { case initial, boundaries }

    private struct Boundary: CodingKey {
        let step: Int
        var stringValue: String { "\(step)" }
        var intValue: Int? { nil }

        init(_ step: Int) { self.step = step }
        init?(stringValue: String) {
            guard let step = Int(stringValue) else { return nil }
            self.step = step
        }
        init?(intValue: Int) { step = intValue }
    }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        initial = try settings.value(.initial)
        let factors: [String: Double] = try settings.value(.boundaries)
        boundaries = try factors.map { name, factor in
            guard let step = Int(name) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .boundaries, in: settings,
                    debugDescription: "expected a number of steps, found \(name.quotedBriefly),")
            }
            return (step, factor)
        }.sorted { $0.0 < $1.0 }
    }

    func encode(to encoder: any Encoder) throws {
        var settings = encoder.container(keyedBy: CodingKeys.self)
        try settings.encode(initial, forKey: .initial)
        var factors = settings.nestedContainer(keyedBy: Boundary.self, forKey: .boundaries)
        for (step, factor) in boundaries { try factors.encode(factor, forKey: Boundary(step)) }
    }
}

/// See ``ScheduleConvertible/stepDecay(initial:factor:everySteps:)``.
struct StepDecaySchedule: ScheduleRule {
    var initial: Double
    var factor: Double
    var everySteps: Int

    static var typeName: String { "stepDecay" }
    var description: String {
        "\(initial.shortDescription), times \(factor.shortDescription) after every \(everySteps) steps"
    }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial] }

    func value(at step: Int) -> Double { initial * ReproducibleMath.power(factor, step / everySteps) }

    func validate(for owner: String) throws(DescentError) {
        try DescentError.requirePositive(factor, "factor", of: owner)
        try requireSteps(everySteps, "everySteps", of: owner)
    }
}
