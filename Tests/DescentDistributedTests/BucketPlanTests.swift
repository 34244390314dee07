import Descent
import Testing

@testable import DescentDistributed

struct BucketPlanTests {
    private func layout(_ counts: [Int]) throws -> ParameterLayout {
        try ParameterLayout(counts.enumerated().map { try ParameterDescription("p\($0)", shape: [$1]) })
    }

    @Test(arguments: [[5], [3, 0, 9, 1], [1, 1, 1, 1, 1], [40, 2], []], 1...12)
    func `every element has one place, in buckets that are full but for the last`(counts: [Int], length: Int) throws {
        let plan = try BucketPlan(Array(counts.indices), of: layout(counts), bucketLength: length)
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
        let plan = try BucketPlan([0, 1, 2], of: layout([4, 4, 4]), bucketLength: 4)
        #expect(plan.segments.map { $0.map(\.bucket) } == [[2], [1], [0]])
    }

    @Test func `a parameter that is not exchanged has no place`() throws {
        let plan = try BucketPlan([0, 2], of: layout([4, 4, 4]), bucketLength: 8)
        #expect(plan.segments[1].isEmpty)
        #expect(plan.lengths == [8])
    }
}
