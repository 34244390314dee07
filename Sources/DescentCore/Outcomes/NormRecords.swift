/// The norms that stages have written down in a step: numbers side by side, which are put together with their names when
/// somebody reads them.
struct NormRecords: Sendable, CustomStringConvertible {
    private struct Entry {
        let before: Double
        /// What the stage has multiplied by.
        let factor: Double
        /// The position of the group's name; nil for all parameters together.
        let group: Int?
    }

    /// Entries that follow one another, of one stage and kind.
    private struct Run {
        let stage: String
        let kind: Norm
        /// The names of groups; nil where they came one by one.
        let names: [String]?
        let start: Int
    }

    private var entries: [Entry] = []
    private var runs: [Run] = []
    /// The names of groups that came one by one.
    private var names: [String] = []

    /// How many norms there are.
    var count: Int { entries.count }

    /// Begins with the norms that a stage takes of some groups.
    mutating func begin(_ stage: String, _ kind: Norm, of names: [String]) {
        runs.append(Run(stage: stage, kind: kind, names: names, start: entries.count))
        entries.reserveCapacity(entries.count + names.count)
    }

    /// Adds a norm of one of the groups that were begun with.
    mutating func add(_ norm: Double, times factor: Double, of group: Int) {
        entries.append(Entry(before: norm, factor: factor, group: group))
    }

    /// Adds a norm of a group, or of all parameters if it has no name.
    mutating func add(_ stage: String, _ norm: Double, times factor: Double, _ kind: Norm, of name: String?) {
        let isGoingOn = runs.last.map { $0.names == nil && $0.kind == kind && $0.stage == stage } ?? false
        if !isGoingOn { runs.append(Run(stage: stage, kind: kind, names: nil, start: entries.count)) }
        entries.append(Entry(before: norm, factor: factor, group: name == nil ? nil : names.count))
        if let name { names.append(name) }
    }

    /// Forgets what was written down after there were so many.
    mutating func cut(to count: Int) {
        entries.removeLast(max(0, entries.count - count))
        while let last = runs.last, last.start >= count { runs.removeLast() }
        if count == 0 { names.removeAll(keepingCapacity: true) }
    }

    // MARK: Reading

    /// All of them, with their names.
    var all: [NormRecord] {
        var records: [NormRecord] = []
        records.reserveCapacity(entries.count)
        for (index, run) in runs.enumerated() {
            let names = run.names ?? names
            for entry in entries[run.start..<(index + 1 < runs.count ? runs[index + 1].start : entries.count)] {
                records.append(
                    NormRecord(
                        stage: run.stage, group: entry.group.map { names[$0] }, kind: run.kind, before: entry.before,
                        after: entry.before * entry.factor, isClipped: entry.factor < 1))
            }
        }
        return records
    }

    /// What there is to read, and not how it is kept.
    var description: String { "\(all)" }

    /// The first norm of all parameters together; nil if no stage took one.
    var firstOfAll: Double? { entries.first { $0.group == nil }?.before }

    /// How many were clipped.
    var clippedCount: Int { entries.count { $0.factor < 1 } }
}
