extension ScheduleConvertible where Self == Schedule {
    /// Multiplies by `rate` over every `transitionSteps` steps, smoothly: initial * rate^(t / transitionSteps).
    ///
    /// Optax's `exponential_decay`, PyTorch's `ExponentialLR`.
    ///
    /// - Parameters:
    ///   - initial: The first value.
    ///   - rate: The factor, above 0.
    ///   - transitionSteps: Over how many steps the factor is reached, at least 1.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func exponential(initial: Double, rate: Double, transitionSteps: Int) -> Schedule {
        Schedule(ExponentialSchedule(initial: initial, rate: rate, transitionSteps: transitionSteps))
    }

    /// Rises in a line to its peak, then falls as one over the root of the number of steps.
    ///
    ///     peak * min((t + 1) / warmup, sqrt(warmup / (t + 1)))
    ///
    /// The step numbered `warmup`, counted from 1, has the peak. Vaswani et al., "Attention is all you need" (2017).
    ///
    /// - Parameters:
    ///   - peak: The highest value.
    ///   - warmup: The number of rising steps, at least 1.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func inverseSquareRoot(peak: Double, warmup: Int) -> Schedule {
        Schedule(InverseSquareRootSchedule(peak: peak, warmup: warmup))
    }
}

/// See ``ScheduleConvertible/exponential(initial:rate:transitionSteps:)``.
struct ExponentialSchedule: ScheduleRule {
    var initial: Double
    var rate: Double
    var transitionSteps: Int

    static var typeName: String { "exponential" }
    var description: String {
        "\(initial.shortDescription), times \(rate.shortDescription) every \(transitionSteps) steps"
    }
    var extremes: KeyValuePairs<String, Double> { ["initial": initial] }

    func value(at step: Int) -> Double {
        initial * ReproducibleMath.power(rate, Double(step) / Double(transitionSteps))
    }

    func validate(for owner: String) throws(DescentError) {
        try DescentError.requirePositive(rate, "rate", of: owner)
        try requireSteps(transitionSteps, "transitionSteps", of: owner)
    }
}

/// See ``ScheduleConvertible/inverseSquareRoot(peak:warmup:)``.
struct InverseSquareRootSchedule: ScheduleRule {
    var peak: Double
    var warmup: Int

    static var typeName: String { "inverseSquareRoot" }
    var description: String {
        "warm-up to \(peak.shortDescription) over \(warmup) steps, then as one over the root of the steps"
    }
    var extremes: KeyValuePairs<String, Double> { ["peak": peak] }

    func value(at step: Int) -> Double {
        let (count, warmup) = (Double(step) + 1, Double(warmup))
        return peak * min(count / warmup, (warmup / count).squareRoot())
    }

    func validate(for owner: String) throws(DescentError) { try requireSteps(warmup, "warmup", of: owner) }
}
