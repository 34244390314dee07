/// What stages have written down of one step.
struct StepRecords: Sendable {
    /// What the norm stages saw and did.
    var norms = NormRecords()
    /// How many elements stages did something to.
    var counts: [CountRecord] = []
    /// Of those, the ones whose number is not known yet.
    var awaited: [AwaitedCount] = []
    /// Numbers of stages' own.
    var values: [ValueRecord] = []

    /// How many of each there are.
    var sizes: (norms: Int, counts: Int, values: Int) { (norms.count, counts.count, values.count) }

    /// Forgets all, and keeps the memory.
    mutating func removeAll() { cut(to: (0, 0, 0)) }

    /// Forgets what was written down after there were so many.
    mutating func cut(to sizes: (norms: Int, counts: Int, values: Int)) {
        norms.cut(to: sizes.norms)
        counts.removeLast(max(0, counts.count - sizes.counts))
        values.removeLast(max(0, values.count - sizes.values))
        while let last = awaited.last, last.record >= counts.count { awaited.removeLast() }
    }

    /// Fills in the counts that were not known when they were written down.
    ///
    /// - Parameter counted: Gives what a statistic has counted, parameter by parameter.
    mutating func fillCounts(_ counted: (_ statistic: Int) -> [Double]) {
        for place in awaited {
            let values = counted(place.statistic)
            counts[place.record].count = values.indices.reduce(0) {
                place.selection?[$1] ?? true ? $0 + Int(values[$1]) : $0
            }
        }
        awaited.removeAll(keepingCapacity: true)
    }
}

/// A count that is written down before it is known.
struct AwaitedCount: Sendable {
    /// Which of the counts.
    let record: Int
    /// What counts it.
    let statistic: Int
    /// The parameters that count; nil for all.
    let selection: [Bool]?
}

/// A number that a stage has written down by itself.
public struct ValueRecord: Sendable, Hashable {
    /// The stage.
    public let stage: String
    /// What the number is: "trust ratio".
    public let name: String
    /// The parameter that it is of; nil for all together.
    public let parameter: String?
    /// The number.
    public let value: Double
}

/// A number of elements that a stage did something to.
public struct CountRecord: Sendable, Hashable {
    /// The stage.
    public let stage: String
    /// How many elements.
    public internal(set) var count: Int
    /// Of how many.
    public let total: Int
}

/// One norm that a stage looked at: where in the chain, of what, and what it did.
public struct NormRecord: Sendable, Hashable {
    /// The stage that looked.
    public let stage: String
    /// The layer or parameter; nil for all parameters together.
    public let group: String?
    /// Which norm.
    public let kind: Norm
    /// The norm as it reached the stage.
    public let before: Double
    /// The norm as it left the stage.
    public let after: Double
    /// Whether the stage made it smaller.
    public let isClipped: Bool
}
