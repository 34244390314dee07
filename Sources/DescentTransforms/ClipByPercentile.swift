public import DescentCore

/// Clips the global L2 norm to a percentile of the norms seen so far, this one included.
///
///     maximum = the p-th percentile of the history, interpolated between neighbours
///     g * min(1, maximum / (n + epsilon))
///
/// The norms of skipped steps are not remembered. Seetharaman, Wichern, Pardo and Le Roux, "AutoClip: adaptive
/// gradient clipping for source separation networks" (2020).
public struct ClipByPercentile: GradientScaling {
    /// The norms seen, oldest first.
    public struct State: Codable, Sendable {
        var history: [Float] = []
        /// Where the next norm goes, once the history is full.
        var next = 0
    }

    /// The percentile, from 0 to 100.
    public var percentile: Float
    /// How many norms are remembered.
    public var historyLength: Int
    /// What is added to the norm.
    public var epsilon: Float
    public var state = State()
    /// The history in order of size.
    private var sorted: [Float] = []
    /// The norm of the gradient last seen, in front of an accumulation that of a micro-batch; nil if none was
    /// since a step.
    private var norm: Double?

    /// Clips to a percentile.
    ///
    /// - Parameters:
    ///   - percentile: The percentile, above 0 and up to 100; the paper uses 10.
    ///   - historyLength: How many norms are remembered, at least 1.
    ///   - epsilon: What is added to the norm, finite and at least 0.
    public init(_ percentile: Float, historyLength: Int = 10_000, epsilon: Float = 1e-6) {
        self.percentile = percentile
        self.historyLength = historyLength
        self.epsilon = epsilon
    }

    public var name: String { "ClipByPercentile(\(percentile))" }
    public var order: StageOrder { .trueGradients }
    public var requirements: [Requirement] { [.norm(.l2)] }

    public var canFail: Bool { false }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(
            percentile > 0 && percentile <= 100, name, "the percentile has to lie above 0 and not above 100.")
        try DescentError.require(
            historyLength >= 1, name, "historyLength is \(historyLength); it has to be at least 1.")
        try requireThreshold(1, epsilon, of: name)
        try resumeHistory()
        sorted = state.history.sorted()
    }

    /// Clips by the percentile of the history and the present norm.
    ///
    /// - Complexity: O(log n) in the length of the history.
    public mutating func prepare(_ step: inout StepPreparation) {
        let norm = step.incoming.norm(.l2)
        self.norm = norm
        let ranked = remembered(norm)
        let place = insertionPoint(ranked)
        func element(_ rank: Int) -> Float {
            rank == place ? ranked : sorted[rank < place ? rank : rank - 1]
        }
        let position = percentile / 100 * Float(sorted.count)
        let (below, above) = (Int(position), min(Int(position) + 1, sorted.count))
        let maximum = element(below) + (element(above) - element(below)) * (position - Float(below))
        // A history of zeros has no norm to clip to; the gradient is zero then, or passes.
        step.clip(step.layout.indices, norm: norm, to: maximum > 0 ? maximum : .infinity, epsilon: epsilon)
    }

    /// Remembers the norm of an applied step.
    ///
    /// - Complexity: O(n) in the length of the history.
    public mutating func finish(_ result: StepResult) throws(DescentError) {
        defer { norm = nil }
        // A pipeline may let gradients pass that are not finite; their norms say nothing about later ones.
        guard result.isApplied, let norm, norm.isFinite else { return }
        remember(remembered(norm))
    }

    private mutating func remember(_ norm: Float) {
        if state.history.count < historyLength {
            state.history.append(norm)
        } else {
            sorted.remove(at: insertionPoint(state.history[state.next]))
            state.history[state.next] = norm
            state.next = (state.next + 1) % historyLength
        }
        sorted.insert(norm, at: insertionPoint(norm))
    }

    /// A norm as it is remembered: one that float32 cannot hold is its largest number, so that differences are finite.
    private func remembered(_ norm: Double) -> Float { Float(min(norm, Double(Float.greatestFiniteMagnitude))) }

    /// The number of remembered norms that are smaller.
    private func insertionPoint(_ norm: Float) -> Int {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < norm { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension ClipByPercentile: DescribedStage {
    private enum CodingKeys: CodingKey { case percentile, historyLength, epsilon }

    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(1))
        try self.init(
            settings.value(.percentile), historyLength: settings.value(.historyLength, or: usual.historyLength),
            epsilon: settings.value(.epsilon, or: usual.epsilon))
    }
}

extension ClipByPercentile {
    /// Refuses a history that cannot be one of this stage's, and puts one that may grow in order of age.
    mutating func resumeHistory() throws(DescentError) {
        let count = state.history.count
        try DescentError.requireState(
            count <= historyLength, name, "its history has \(count) norms, more than the \(historyLength) that it keeps"
        )
        try DescentError.requireState(
            state.history.allSatisfy { $0.isFinite && $0 >= 0 }, name,
            "its history has norms that are negative or not finite")
        try DescentError.requireState(
            state.next >= 0 && state.next < max(count, 1), name,
            "its history has \(count) norms, and the oldest of them is said to be number \(state.next)")
        // A history that was full may have become longer: the oldest norm comes first as long as there is room.
        guard count < historyLength, state.next > 0 else { return }
        state.history = Array(state.history[state.next...] + state.history[..<state.next])
        state.next = 0
    }
}
