import DescentCore

/// Which elements move together: the same on all ranks, from the last parameter to the first.
struct BucketPlan {
    /// A run of elements of one parameter, and its place in a bucket.
    struct Segment {
        let parameter: Int
        let elements: Range<Int>
        let bucket: Int
        let offset: Int
    }

    /// For each parameter of the layout, its segments; none where it is not exchanged.
    let segments: [[Segment]]
    /// For each bucket, its number of elements.
    let lengths: [Int]

    /// Fills buckets of a length; the last one may be shorter.
    init(_ parameters: [Int], of layout: ParameterLayout, bucketLength: Int) {
        var segments = [[Segment]](repeating: [], count: layout.count)
        var lengths: [Int] = []
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
        self.segments = segments
        self.lengths = lengths
    }
}
