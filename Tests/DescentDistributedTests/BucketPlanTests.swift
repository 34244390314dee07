import Descent
import Testing

@testable import DescentDistributed

struct BucketPlanTests {
    private func layout(_ counts: [Int]) throws -> ParameterLayout {
        try ParameterLayout(counts.enumerated().map { try ParameterDescription("p\($0)", shape: [$1]) })
    }

    @Test(arguments: [[5], [3, 0, 9, 1], [1, 1, 1, 1, 1], [40, 2], []], 1...12)
    func `every element has one place, in buckets that are full but for the last`(counts: [Int], length: Int) throws {
        let plan = try BucketPlan(Array(counts.indices), of: layout(counts), among: 1, bucketLength: length)
        var places = Set<[Int]>()
        for (parameter, segments) in plan.segments.enumerated() {
            #expect(segments.allSatisfy { $0.parameter == parameter })
            #expect(segments.flatMap(\.elements) == Array(0..<counts[parameter]))
            for segment in segments {
                for element in 0..<segment.elements.count { places.insert([segment.bucket, segment.offset + element]) }
            }
        }
        let total = counts.reduce(0, +)
        #expect(places.count == total)
        #expect(plan.lengths.reduce(0, +) == total)
        #expect(plan.lengths.dropLast().allSatisfy { $0 == length })
        #expect(places.allSatisfy { $0[1] < plan.lengths[$0[0]] })
    }

    @Test func `buckets are filled from the last parameter to the first`() throws {
        let plan = try BucketPlan([0, 1, 2], of: layout([4, 4, 4]), among: 1, bucketLength: 4)
        #expect(plan.segments.map { $0.map(\.bucket) } == [[2], [1], [0]])
    }

    @Test func `a parameter that is not exchanged has no place`() throws {
        let plan = try BucketPlan([0, 2], of: layout([4, 4, 4]), among: 1, bucketLength: 8)
        #expect(plan.segments[1].isEmpty)
        #expect(plan.lengths == [8])
    }

    @Test(arguments: 1...5, [1, 3, 10, 1_000])
    func `each rank's rows are in its own shards, each element once`(rankCount: Int, length: Int) throws {
        let layout = try ParameterLayout([
            ParameterDescription("matrix", shape: [7, 3]), ParameterDescription("few rows", shape: [2, 5]),
            ParameterDescription("empty", shape: [0, 4]), ParameterDescription("bias", shape: [9]),
            ParameterDescription("frozen", shape: [8, 2]),
            ParameterDescription("units last", shape: [3, 6], outputAxis: .last),
        ])
        let exchanged = [0, 1, 2, 3, 5]
        let division = RowDivision(of: layout, among: rankCount, rank: 0)
        let plan = BucketPlan(exchanged, of: layout, dividedBy: division, bucketLength: length)
        var places = Set<[Int]>()
        for (parameter, segments) in plan.segments.enumerated() {
            #expect(segments.map(\.bucket) == segments.map(\.bucket).sorted())
            let elements = segments.flatMap(\.elements).sorted()
            #expect(elements == (exchanged.contains(parameter) ? Array(0..<layout[parameter].count) : []))
            for segment in segments {
                let rows = division.rows[plan.rank(of: segment)][parameter]
                #expect(
                    segment.elements.allSatisfy { rows.contains($0 / max(1, layout[parameter].columnCount)) }
                        || layout[parameter].outputAxis == .last && !rows.isEmpty)
                for element in 0..<segment.elements.count { places.insert([segment.bucket, segment.offset + element]) }
            }
        }
        let total = exchanged.reduce(0) { $0 + layout[$1].count }
        #expect(places.count == total)
        #expect(plan.lengths.reduce(0, +) == total)
        #expect(places.allSatisfy { $0[1] < plan.shardLengths[$0[0]] * rankCount })
    }
}
