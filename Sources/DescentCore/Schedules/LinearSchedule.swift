extension ScheduleConvertible where Self == Schedule {
    /// Goes in a line from one value to another, and stays there.
    ///
    ///     end + (initial - end) * (1 - min(t, transitionSteps) / transitionSteps)
    ///
    /// Optax's `linear_schedule`, PyTorch's `LinearLR`.
    ///
    /// - Parameters:
    ///   - initial: The first value.
    ///   - end: The last value, from step `transitionSteps` on.
    ///   - transitionSteps: How many steps it takes, at least 1.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func linear(initial: Double, end: Double = 0, transitionSteps: Int) -> Schedule {
        Schedule(LinearSchedule(initial: initial, end: end, transitionSteps: transitionSteps))
    }

    /// Goes from one value to another along a power of the share of steps that are left, and stays there.
    ///
    ///     end + (initial - end) * (1 - min(t, transitionSteps) / transitionSteps)^power
    ///
    /// Optax's `polynomial_schedule`, PyTorch's `PolynomialLR`.
    ///
    /// - Parameters:
    ///   - initial: The first value.
    ///   - end: The last value, from step `transitionSteps` on.
    ///   - power: How fast it falls at first; 1 is a line; finite and above 0.
    ///   - transitionSteps: How many steps it takes, at least 1.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func polynomial(
        initial: Double, end: Double = 0, power: Double, transitionSteps: Int
    ) -> Schedule {
        Schedule(PolynomialSchedule(initial: initial, end: end, power: power, transitionSteps: transitionSteps))
    }
}

/// See ``ScheduleConvertible/linear(initial:end:transitionSteps:)``.
struct LinearSchedule: ScheduleRule {
    var initial: Double
    var end: Double
    var transitionSteps: Int

    static var typeName: String { "linear" }
    var description: String {
        "\(initial.shortDescription) to \(end.shortDescription) over \(transitionSteps) steps"
    }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial, "end": end] }

    func value(at step: Int) -> Double {
        end + (initial - end) * Double(shareLeft(at: step, of: transitionSteps))
    }

    func validate(for owner: String) throws(DescentError) {
        try requireSteps(transitionSteps, "transitionSteps", of: owner)
    }
}

extension LinearSchedule {
    private enum CodingKeys: CodingKey { case initial, end, transitionSteps }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            initial: settings.value(.initial), end: settings.value(.end, or: 0),
            transitionSteps: settings.value(.transitionSteps))
    }
}

/// See ``ScheduleConvertible/polynomial(initial:end:power:transitionSteps:)``.
struct PolynomialSchedule: ScheduleRule {
    var initial: Double
    var end: Double
    var power: Double
    var transitionSteps: Int

    static var typeName: String { "polynomial" }
    var description: String {
        "\(initial.shortDescription) to \(end.shortDescription) over \(transitionSteps) steps, "
            + "to the power \(power.shortDescription)"
    }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial, "end": end] }

    func value(at step: Int) -> Double {
        let share = Float(ReproducibleMath.power(Double(shareLeft(at: step, of: transitionSteps)), power))
        return end + (initial - end) * Double(share)
    }

    func validate(for owner: String) throws(DescentError) {
        try requireSteps(transitionSteps, "transitionSteps", of: owner)
        try DescentError.requirePositive(power, "power", of: owner)
    }
}

extension PolynomialSchedule {
    private enum CodingKeys: CodingKey { case initial, end, power, transitionSteps }

    init(from decoder: any Decoder) throws {
        let settings = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            initial: settings.value(.initial), end: settings.value(.end, or: 0), power: settings.value(.power),
            transitionSteps: settings.value(.transitionSteps))
    }
}

/// The share of steps that are left, rounded as in Optax, so that values near the end agree in all their digits.
private func shareLeft(at step: Int, of total: Int) -> Float { 1 - Float(min(step, total)) / Float(total) }
