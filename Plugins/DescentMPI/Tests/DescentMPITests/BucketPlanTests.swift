import Descent
import Testing

@testable import DescentMPI

struct BucketPlanTests {
    private func layout(_ counts: [Int]) throws -> ParameterLayout {
        try ParameterLayout(counts.enumerated().map { try ParameterDescription("p\($0)", shape: [$1]) })
    }

    @Test(arguments: [[5], [3, 0, 9, 1], [1, 1, 1, 1, 1], [40, 2], []], 1...12)
    func `every element has one place, in buckets that are full but for the last`(counts: [Int], length: Int) throws {
        let plan = try BucketPlan(Array(counts.indices), of: layout(counts), bucketLength: length)
        var places = Set<[Int]>()
        for (parameter, pieces) in plan.pieces.enumerated() {
            #expect(pieces.allSatisfy { $0.parameter == parameter })
            #expect(pieces.flatMap(\.elements) == Array(0..<counts[parameter]))
            for piece in pieces {
                for element in 0..<piece.elements.count { places.insert([piece.bucket, piece.offset + element]) }
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
        #expect(plan.pieces.map { $0.map(\.bucket) } == [[2], [1], [0]])
    }

    @Test func `a parameter that is not exchanged has no place`() throws {
        let plan = try BucketPlan([0, 2], of: layout([4, 4, 4]), bucketLength: 8)
        #expect(plan.pieces[1].isEmpty)
        #expect(plan.lengths == [8])
    }
}
