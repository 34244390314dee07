/// A number that depends on the count of applied steps: a learning rate, a factor.
///
/// Accumulated micro-batches and skipped steps do not advance it. A plain number is a constant schedule:
/// `AdamW(learningRate: 0.001)`.
public struct Schedule: Sendable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, CustomStringConvertible {
    enum Kind: Sendable {
        case constant(Double)
        case warmupCosine(initial: Double, peak: Double, end: Double, warmup: Int, total: Int)
        case exponential(initial: Double, rate: Double, transitionSteps: Int)
        case custom(String, @Sendable (Int) -> Double)
    }

    let kind: Kind

    /// The same number at every step.
    public static func constant(_ value: Double) -> Schedule { Schedule(kind: .constant(value)) }

    /// Rises in a line from `initial` to `peak`, then falls along half a cosine to `end`, and stays there.
    ///
    ///     t < warmup:  initial + (peak - initial) * t / warmup
    ///     otherwise:   end + (peak - end) * (1 + cos(pi * (t - warmup) / (total - warmup))) / 2
    ///
    /// As `initial` is 0 by default, the first applied step (t = 0) moves no parameter: behind `Accumulate(steps: 4)`, the
    /// first four batches teach nothing but the optimizer's moments. `initial: peak / Double(warmup)` begins to learn at
    /// once. Where `warmup` is 0, the first step is at `peak`.
    ///
    /// - Parameters:
    ///   - peak: The value at the end of the warm-up, at least 0.
    ///   - warmup: The number of rising steps, from 0 to below `total`.
    ///   - total: The number of all steps, warm-up included.
    ///   - initial: The first value, at least 0.
    ///   - end: The last value, at least 0.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func warmupCosine(
        peak: Double, warmup: Int, total: Int, initial: Double = 0, end: Double = 0
    ) -> Schedule {
        Schedule(kind: .warmupCosine(initial: initial, peak: peak, end: end, warmup: warmup, total: total))
    }

    /// Multiplies by `rate` over every `transitionSteps` steps, smoothly: initial * rate^(t / transitionSteps).
    ///
    /// - Parameters:
    ///   - initial: The first value, at least 0.
    ///   - rate: The factor, above 0.
    ///   - transitionSteps: Over how many steps the factor is reached, at least 1.
    /// - Returns: The schedule; its settings are checked when a pipeline is built with it.
    public static func exponential(initial: Double, rate: Double, transitionSteps: Int) -> Schedule {
        Schedule(kind: .exponential(initial: initial, rate: rate, transitionSteps: transitionSteps))
    }

    /// A schedule of one's own.
    ///
    /// - Parameters:
    ///   - name: What explanations call it.
    ///   - value: Gives the value for a count of applied steps, starting at 0.
    /// - Returns: The schedule.
    public static func custom(_ name: String, _ value: @escaping @Sendable (Int) -> Double) -> Schedule {
        Schedule(kind: .custom(name, value))
    }

    init(kind: Kind) { self.kind = kind }

    /// A constant.
    public init(floatLiteral value: Double) { self.init(kind: .constant(value)) }

    /// A constant.
    public init(integerLiteral value: Int) { self.init(kind: .constant(Double(value))) }

    /// The value after a number of applied steps, at least 0.
    public func value(at step: Int) -> Float {
        switch kind {
        case .constant(let value):
            return Float(value)
        case .warmupCosine(let initial, let peak, let end, let warmup, let total):
            if step < warmup { return Float(initial + (peak - initial) * Double(step) / Double(warmup)) }
            let progress = min(1, Double(step - warmup) / Double(total - warmup))
            return Float(end + (peak - end) * (1 + ReproducibleMath.cosine(halfTurns: progress)) / 2)
        case .exponential(let initial, let rate, let transitionSteps):
            return Float(initial * ReproducibleMath.power(rate, Double(step) / Double(transitionSteps)))
        case .custom(_, let value):
            return Float(value(step))
        }
    }

    /// What the schedule does, for explanations.
    public var description: String {
        switch kind {
        case .constant(let value): "\(value)"
        case .warmupCosine(_, let peak, let end, let warmup, let total):
            "warm-up to \(peak) over \(warmup) steps, cosine to \(end) at \(total)"
        case .exponential(let initial, let rate, let transitionSteps):
            "\(initial), times \(rate) every \(transitionSteps) steps"
        case .custom(let name, _): name
        }
    }

    /// Refuses settings that are out of range, as the float32 numbers that they become.
    ///
    /// A learning rate may be 0, which holds its parameters where they are. What a schedule comes to later, such as one
    /// that grows without end or a closure, is looked at in each step.
    ///
    /// - Parameters:
    ///   - owner: Whose schedule it is, for the message.
    ///   - allowsNegative: Whether values below 0 make sense and 0 does not, as for a factor.
    /// - Throws: ``DescentError`` with code `invalidSetting`.
    public func validate(for owner: String, allowsNegative: Bool = false) throws(DescentError) {
        func require(_ value: Double, _ setting: String, mayBeZero: Bool) throws(DescentError) {
            try DescentError.require(
                Float(value).isFinite, owner, "\(setting) is \(value); it has to be a finite number in float32.")
            let isInRange = allowsNegative ? mayBeZero || Float(value) != 0 : value >= 0
            try DescentError.require(
                isInRange, owner,
                "\(setting) is \(value); it has to be \(allowsNegative ? "another number than 0" : "at least 0").")
        }
        switch kind {
        case .constant(let value):
            try require(value, "the constant of the schedule", mayBeZero: !allowsNegative)
        case .warmupCosine(let initial, let peak, let end, let warmup, let total):
            try require(peak, "peak", mayBeZero: !allowsNegative)
            try require(initial, "initial", mayBeZero: true)
            try require(end, "end", mayBeZero: true)
            try DescentError.require(
                warmup >= 0 && warmup < total, owner,
                "the warm-up of \(warmup) steps has to lie within the schedule's total of \(total).")
        case .exponential(let initial, let rate, let transitionSteps):
            try require(initial, "initial", mayBeZero: !allowsNegative)
            try DescentError.requirePositive(rate, "rate", of: owner)
            try DescentError.require(
                transitionSteps > 0, owner, "transitionSteps is \(transitionSteps); it has to be at least 1.")
        case .custom: break
        }
    }
}

/// A constant is written as a number, others under their names: `{"warmupCosine": {"peak": 0.01, ...}}`.
extension Schedule: Codable {
    private enum Form: String, CodingKey { case warmupCosine, exponential }
    private enum Setting: String, CodingKey { case initial, peak, end, warmup, total, rate, transitionSteps }

    /// Reads a schedule; `initial` and `end` of a warm-up may be left out.
    public init(from decoder: any Decoder) throws {
        if let value = try? decoder.singleValueContainer().decode(Double.self) {
            self = .constant(value)
            return
        }
        let form = try decoder.container(keyedBy: Form.self)
        if form.contains(.exponential) {
            let settings = try form.nestedContainer(keyedBy: Setting.self, forKey: .exponential)
            self = try .exponential(
                initial: settings.value(.initial), rate: settings.value(.rate),
                transitionSteps: settings.value(.transitionSteps))
        } else {
            let settings = try form.nestedContainer(keyedBy: Setting.self, forKey: .warmupCosine)
            self = try .warmupCosine(
                peak: settings.value(.peak), warmup: settings.value(.warmup), total: settings.value(.total),
                initial: settings.value(.initial, or: 0), end: settings.value(.end, or: 0))
        }
    }

    /// Writes the schedule.
    ///
    /// - Throws: ``DescentError`` with code `invalidDocument` for a custom one, which is a closure.
    public func encode(to encoder: any Encoder) throws {
        switch kind {
        case .constant(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .warmupCosine(let initial, let peak, let end, let warmup, let total):
            var form = encoder.container(keyedBy: Form.self)
            var settings = form.nestedContainer(keyedBy: Setting.self, forKey: .warmupCosine)
            try settings.encode(peak, forKey: .peak)
            try settings.encode(warmup, forKey: .warmup)
            try settings.encode(total, forKey: .total)
            try settings.encode(initial, forKey: .initial)
            try settings.encode(end, forKey: .end)
        case .exponential(let initial, let rate, let transitionSteps):
            var form = encoder.container(keyedBy: Form.self)
            var settings = form.nestedContainer(keyedBy: Setting.self, forKey: .exponential)
            try settings.encode(initial, forKey: .initial)
            try settings.encode(rate, forKey: .rate)
            try settings.encode(transitionSteps, forKey: .transitionSteps)
        case .custom(let name, _):
            throw DescentError(
                .invalidDocument, "the schedule \(name.quotedBriefly) is a closure and cannot be written down")
        }
    }
}
