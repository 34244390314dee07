import Descent

/// What a whole training was like.
struct Run {
    /// Which one it was.
    let variant: Variant
    /// Its steps.
    private(set) var steps: [Step] = []
    /// The parameters after some of the steps, by the step's number.
    private(set) var snapshots: [Int: TensorSet] = [:]
    /// The mean squared error at the end, on sequences that training never saw.
    var heldOutError = Double.nan
    /// How long it took.
    var duration = Duration.zero

    /// The steps after which parameters are kept.
    static let snapshotSteps = [1, 10, 100, 1_000, Training.stepCount]

    /// Starts with no steps.
    init(_ variant: Variant) { self.variant = variant }

    /// How many steps were skipped.
    var skippedCount: Int { steps.count { $0.skip != nil } }
    /// How many steps updated the parameters.
    var appliedCount: Int { steps.count - skippedCount }
    /// How many of the last steps were skipped, one after the other.
    var skippedInARow: Int { steps.reversed().prefix { $0.skip != nil }.count }
    /// Whether it was given up because every step was skipped.
    var isStuck: Bool { skippedInARow >= Training.patience }
    /// The share of steps that a stage clipped.
    var clippedShare: Double { Double(steps.count(where: \.isClipped)) / Double(steps.count) }
    /// The largest norm of a gradient, among those that were finite, and the number of its step.
    var largestNorm: (norm: Double, step: Int) {
        let norms = steps.enumerated().map { (norm: $1.gradientNorm, step: $0 + 1) }.filter(\.norm.isFinite)
        return norms.max { $0.norm < $1.norm } ?? (.nan, 0)
    }
    /// Whether the parameters kept every bit whenever a step was skipped.
    var skipsKeptParameters: Bool { steps.allSatisfy { $0.skip == nil || !$0.changedParameters } }

    /// Takes in a step and, now and then, the parameters it left.
    mutating func append(_ step: Step, _ parameters: TensorSet) {
        steps.append(step)
        if Self.snapshotSteps.contains(steps.count) { snapshots[steps.count] = parameters }
    }

    /// The mean loss of the last steps, a hundred at most.
    var recentLoss: Double {
        let recent = steps.suffix(100)
        return recent.reduce(0) { $0 + $1.loss } / Double(recent.count)
    }

    /// The farthest that any element of a parameter moved from one step to another; nil if either was not kept.
    func movement(of parameter: String, from first: Int, to last: Int) -> Float? {
        guard let first = snapshots[first], let last = snapshots[last] else { return nil }
        return first.largestDifference(of: parameter, from: last)
    }

    /// The farthest that any parameter is from its twin in another training after a step; nil if one was not kept.
    func largestDifference(from other: Run, after step: Int) -> Float? {
        guard let own = snapshots[step], let other = other.snapshots[step] else { return nil }
        return own.largestDifference(from: other)
    }
}
