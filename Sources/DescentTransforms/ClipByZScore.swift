public import DescentCore

/// Clips global L2 norms that are outliers of their own moving mean and variance.
///
///     z = (n - mean) / deviation
///     z > threshold:  g * (mean + threshold^2 / z * deviation) / n
///
/// The first `warmup` norms are only watched. After that, mean and variance follow the clipped norms:
///
///     mean = decay * mean + (1 - decay) * n;  variance = decay * variance + (1 - decay) * (n - mean)^2
///
/// Skipped steps leave no trace. Kumar, Owen, Chowdhury and Gueta, "ZClip: adaptive spike mitigation for LLM
/// pre-training" (2025).
public struct ClipByZScore: GradientScaling {
    /// The moving statistics.
    public struct State: Codable, Sendable {
        /// The norms of the warm-up.
        var warmup: [Float] = []
        var mean = 0.0
        var variance = 0.0
        var isWarm = false
    }

    /// How many deviations above the mean a norm may lie.
    public var threshold: Schedule
    /// What mean and variance keep of themselves in a step.
    public var decay: Double
    /// How many norms are watched before the first is clipped.
    public var warmup: Int
    /// The longest warm-up: a million norms, which take 4 MB and are in every checkpoint until it is over.
    public static let maximumWarmup = 1_000_000
    public var state = State()
    /// The norm that the gradient last seen was clipped to, in front of an accumulation that of a micro-batch; nil if
    /// none was since a step.
    private var clippedNorm: Double?

    /// Clips outliers.
    ///
    /// - Parameters:
    ///   - threshold: How many deviations above the mean a norm may lie, finite and above 0, or a schedule of such. One that
    ///     leaves this range skips the step.
    ///   - decay: What mean and variance keep of themselves in a step, in 0..<1.
    ///   - warmup: How many norms are watched before the first is clipped, from 1 to ``maximumWarmup``; all are kept
    ///     until then.
    public init(threshold: Schedule = 2.5, decay: Double = 0.97, warmup: Int = 25) {
        self.threshold = threshold
        self.decay = decay
        self.warmup = warmup
    }

    /// Clips outliers, with a threshold of any number type.
    @_disfavoredOverload
    public init(threshold: some ScheduleConvertible, decay: Double = 0.97, warmup: Int = 25) {
        self.init(threshold: threshold.schedule, decay: decay, warmup: warmup)
    }

    public var name: String { "ClipByZScore(\(threshold))" }
    public var order: StageOrder { .trueGradients }
    public var requirements: [Requirement] { [.norm(.l2)] }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try threshold.validate("threshold", of: name, in: .positive)
        try DescentError.require((0..<1).contains(decay), name, "decay is \(decay); it has to lie in 0..<1.")
        try DescentError.require(
            (1...Self.maximumWarmup).contains(warmup), name,
            "warmup is \(warmup); it has to lie in 1...\(Self.maximumWarmup).")
        try requireValidState()
        // So that no step of an ordinary warm-up allocates; a very long one grows as it goes.
        state.warmup.reserveCapacity(min(warmup, 4_096))
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        guard let threshold = step.value(of: threshold, "threshold", in: .positive) else { return }
        let norm = step.incoming.norm(.l2)
        var maximum = Double.infinity
        if state.isWarm, norm > 0 {
            let deviation = state.variance.squareRoot()
            let z = (norm - state.mean) / deviation
            if z > Double(threshold) {
                maximum = state.mean + (deviation > 0 ? Double(threshold) * Double(threshold) / z * deviation : 0)
            }
        }
        // After norms of 0 alone there is nothing to clip to; clipped to 0, no later norm would ever move the mean.
        if Float(maximum) == 0 { maximum = .infinity }
        clippedNorm = min(norm, maximum)
        // With no epsilon the norm becomes the maximum itself.
        step.clip(step.layout.indices, norm: norm, to: Float(maximum), epsilon: 0)
    }

    public mutating func finish(_ result: StepResult) throws(DescentError) {
        defer { clippedNorm = nil }
        // A pipeline may let gradients pass that are not finite; their norms say nothing about later ones.
        guard result.isApplied, let clippedNorm, clippedNorm.isFinite else { return }
        guard state.isWarm else { return warmUp(clippedNorm) }
        state.mean = decay * state.mean + (1 - decay) * clippedNorm
        let distance = clippedNorm - state.mean
        state.variance = decay * state.variance + (1 - decay) * distance * distance
    }

    private mutating func warmUp(_ norm: Double) {
        // A norm that float32 cannot hold would make the mean infinite for good.
        state.warmup.append(Float(min(norm, Double(Float.greatestFiniteMagnitude))))
        guard state.warmup.count >= warmup else { return }
        let count = Double(state.warmup.count)
        state.mean = state.warmup.reduce(0) { $0 + Double($1) } / count
        state.variance = state.warmup.reduce(0) { $0 + (Double($1) - state.mean) * (Double($1) - state.mean) } / count
        state.isWarm = true
        state.warmup = []
    }
}

extension ClipByZScore: DescribedStage {
    private enum CodingKeys: CodingKey { case threshold, decay, warmup }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            threshold: settings.value(.threshold, or: usual.threshold), decay: settings.value(.decay, or: usual.decay),
            warmup: settings.value(.warmup, or: usual.warmup))
    }
}

extension ClipByZScore {
    /// Refuses statistics that cannot be this stage's.
    func requireValidState() throws(DescentError) {
        // Norms beyond Float are not watched, so that no mean of them lies beyond it, and no variance beyond its square.
        let largest = Double(Float.greatestFiniteMagnitude)
        try DescentError.requireState(
            (0...largest).contains(state.mean) && (0...largest * largest).contains(state.variance), name,
            "norms have a mean of \(state.mean) and a variance of \(state.variance)")
        try DescentError.requireState(
            state.warmup.allSatisfy { $0.isFinite && $0 >= 0 }, name,
            "norms of the warm-up are negative or not finite")
        let count = state.warmup.count
        guard state.isWarm else {
            try DescentError.requireState(
                state.mean == 0 && state.variance == 0, name, "norms have a mean before the warm-up has ended")
            return try DescentError.requireState(
                count < max(warmup, 1), name, "the warm-up has \(count) norms and ends after \(warmup)")
        }
        try DescentError.requireState(count == 0, name, "the warm-up has ended and still keeps \(count) norms")
    }
}
