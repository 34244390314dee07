import DescentCore

/// Which rows of each parameter a rank holds, and how they move.
///
/// Rows are dealt out in even runs. A parameter goes as a whole to one rank if it has fewer rows than there are ranks,
/// if it has fewer than two dimensions, or if its output units are its last dimension, whose rows do not lie together.
struct ShardPlan {
    /// A run of elements of one parameter that one rank holds, and its place in a bucket.
    struct Segment {
        let rank: Int
        let parameter: Int
        /// Where they are in the whole parameter.
        let elements: Range<Int>
        /// Where they begin in the rank's part of it.
        let start: Int
        /// Where they begin in the rank's shard of the bucket.
        let offset: Int
    }

    /// For each rank and parameter, the elements that the rank holds.
    let elements: [[Range<Int>]]
    /// For each bucket, its segments.
    let buckets: [[Segment]]

    /// Deals out the rows of a layout.
    ///
    /// - Parameters:
    ///   - layout: The parameters.
    ///   - rankCount: The number of ranks.
    ///   - shardLength: How many elements of each rank a bucket holds.
    init(_ layout: ParameterLayout, rankCount: Int, shardLength: Int) {
        var elements = [[Range<Int>]](repeating: [], count: rankCount)
        var loads = [Int](repeating: 0, count: rankCount)
        for parameter in layout {
            let isDivided = parameter.rank > 1 && parameter.outputAxis == .first && parameter.rowCount >= rankCount
            let owner = loads.indices.min { loads[$0] < loads[$1] } ?? 0
            for rank in 0..<rankCount {
                let bounds = [rank, rank + 1].map { bound in
                    isDivided
                        ? parameter.rowCount * bound / rankCount * parameter.columnCount
                        : bound > owner ? parameter.count : 0
                }
                elements[rank].append(bounds[0]..<bounds[1])
                loads[rank] += bounds[1] - bounds[0]
            }
        }
        self.elements = elements
        buckets = Self.buckets(elements, shardLength)
    }

    private static func buckets(_ elements: [[Range<Int>]], _ shardLength: Int) -> [[Segment]] {
        var buckets: [[Segment]] = []
        for (rank, ranges) in elements.enumerated() {
            var filled = 0
            for (parameter, range) in ranges.enumerated() {
                var start = range.lowerBound
                while start < range.upperBound {
                    let (bucket, offset) = filled.quotientAndRemainder(dividingBy: shardLength)
                    let end = min(range.upperBound, start + shardLength - offset)
                    if bucket == buckets.count { buckets.append([]) }
                    buckets[bucket].append(
                        Segment(
                            rank: rank, parameter: parameter, elements: start..<end,
                            start: start - range.lowerBound, offset: offset))
                    filled += end - start
                    start = end
                }
            }
        }
        return buckets
    }

    /// Whether several ranks hold rows of a parameter.
    func isDivided(_ parameter: Int) -> Bool { elements.count { !$0[parameter].isEmpty } > 1 }

    /// The parameters as a rank holds them: of the same names and with as many rows as it has.
    ///
    /// - Throws: `DescentError` never, since parts of valid parameters are valid.
    func layout(of rank: Int, from layout: ParameterLayout) throws(DescentError) -> ParameterLayout {
        var parameters: [ParameterDescription] = []
        for (parameter, range) in zip(layout, elements[rank]) {
            var shape = parameter.shape
            if range.count < parameter.count {
                shape = [range.count / max(1, parameter.columnCount)] + shape.dropFirst()
                if range.isEmpty, parameter.outputAxis == .last { shape = parameter.shape.dropLast() + [0] }
            }
            parameters.append(
                try ParameterDescription(parameter.name, shape: shape, outputAxis: parameter.outputAxis))
        }
        return try ParameterLayout(parameters)
    }
}
