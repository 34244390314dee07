import DescentCore

/// Which elements move together: the same on all ranks, from the last parameter to the first.
///
/// A bucket is made of a shard for each rank, all of the same length, of which the rank forms the sums. Where every rank is
/// given all sums, it does not matter which elements are in whose shard, and a bucket is a run of elements. Where each rank
/// works on rows of its own, its shards hold these and no others.
struct BucketPlan {
    /// A run of elements of one parameter, and its place in a bucket.
    struct Segment {
        let parameter: Int
        let elements: Range<Int>
        let bucket: Int
        let offset: Int
    }

    /// For each parameter of the layout, its segments; none where it is not exchanged.
    private(set) var segments: [[Segment]]
    /// For each bucket, its number of elements, which may be less than there is room for.
    private(set) var lengths: [Int] = []
    /// For each bucket, how many elements there is room for in a shard.
    private(set) var shardLengths: [Int] = []

    /// Fills buckets of a length; the last one may be shorter.
    init(_ parameters: [Int], of layout: ParameterLayout, among rankCount: Int, bucketLength: Int) {
        segments = [[Segment]](repeating: [], count: layout.count)
        for parameter in parameters.reversed() {
            var start = 0
            while start < layout[parameter].count {
                if lengths.last.map({ $0 == bucketLength }) ?? true { lengths.append(0) }
                let bucket = lengths.count - 1
                let end = min(layout[parameter].count, start + bucketLength - lengths[bucket])
                segments[parameter].append(
                    Segment(parameter: parameter, elements: start..<end, bucket: bucket, offset: lengths[bucket]))
                lengths[bucket] += end - start
                start = end
            }
        }
        shardLengths = lengths.map { ($0 + rankCount - 1) / rankCount }
    }

    /// Fills the shards of each rank with its rows; where ranks hold unequal numbers of elements, the shards of some end in
    /// padding.
    init(_ parameters: [Int], of layout: ParameterLayout, dividedBy division: RowDivision, bucketLength: Int) {
        segments = [[Segment]](repeating: [], count: layout.count)
        let shardLength = max(1, bucketLength / division.rankCount)
        let counts = division.rows.map { rows in
            parameters.reduce(0) { $0 + rows[$1].count * layout[$1].columnCount }
        }
        var rest = counts.max() ?? 0
        while rest > 0 {
            shardLengths.append(min(rest, shardLength))
            rest -= shardLength
        }
        lengths = shardLengths.map { _ in 0 }
        for (rank, rows) in division.rows.enumerated() {
            var filled = 0
            for parameter in parameters.reversed() {
                let columns = layout[parameter].columnCount
                var start = rows[parameter].lowerBound * columns
                let last = rows[parameter].upperBound * columns
                while start < last {
                    let (bucket, place) = filled.quotientAndRemainder(dividingBy: shardLength)
                    let end = min(last, start + shardLength - place)
                    segments[parameter].append(
                        Segment(
                            parameter: parameter, elements: start..<end, bucket: bucket,
                            offset: rank * shardLengths[bucket] + place))
                    lengths[bucket] += end - start
                    filled += end - start
                    start = end
                }
            }
        }
        // One bucket after another is full as a gradient arrives.
        for parameter in segments.indices { segments[parameter].sort { $0.bucket < $1.bucket } }
    }

    /// For each bucket, its segments.
    var segmentsOfBuckets: [[Segment]] {
        var buckets = shardLengths.map { _ in [Segment]() }
        for segment in segments.joined() { buckets[segment.bucket].append(segment) }
        return buckets
    }

    /// The rank in whose shard a segment is.
    func rank(of segment: Segment) -> Int { segment.offset / shardLengths[segment.bucket] }
}
