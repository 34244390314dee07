extension String {
    /// The one among some names that this one may be a slip of the pen for; nil if none is near.
    ///
    /// Near is what differs in letter case alone, or by at most a third of its letters inserted, left out, exchanged
    /// for another or with their neighbour.
    package func nearest(among names: some Sequence<String>) -> String? {
        let letters = Array(lowercased())
        guard letters.count <= 100 else { return nil }
        var best: (name: String, distance: Int)?
        for name in names {
            let others = Array(name.lowercased())
            guard others.count <= 100 else { continue }
            let distance = editDistance(letters, others)
            let length = max(letters.count, others.count)
            let isNear = distance < length && distance <= max(1, length / 3)
            if isNear, distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }

    /// The end of a sentence that says that there is nothing of this name: asks for the nearest one that there is.
    package func hint(among names: some Sequence<String>) -> String {
        nearest(among: names).map { "; did you mean \"\($0)\"?" } ?? "."
    }
}

/// How many insertions, deletions, substitutions and exchanges of neighbours lead from one text to another.
///
/// The distance of optimal string alignment: no part is changed twice.
private func editDistance(_ first: [Character], _ second: [Character]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...second.count)
    for (row, letter) in first.enumerated() {
        var current = [row + 1]
        for (column, other) in second.enumerated() {
            var distance = min(last[column] + (letter == other ? 0 : 1), last[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, letter == second[column - 1], first[row - 1] == other {
                distance = min(distance, beforeLast[column - 1] + 1)
            }
            current.append(distance)
        }
        (beforeLast, last) = (last, current)
    }
    return last[second.count]
}
