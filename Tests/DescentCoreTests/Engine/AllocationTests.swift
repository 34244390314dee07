import AllocationCounter
import Descent
import TestSupport
import Testing

/// A step asks for no memory that grows with the model once the first is over.
///
/// Optimized, it asks for none at all, which `endurance soak` shows over a million steps.
@Suite struct AllocationTests {
    static let pipelines: [(name: String, type: ElementType, make: @Sendable (TensorSet) throws -> Pipeline)] = [
        (
            "float32", .float32,
            {
                try Pipeline(for: $0, on: SIMDBackend(threads: 1)) {
                    Unscale()
                    Centralize()
                    ClipByNorm(1)
                    ClipLayerwise(default: 1)
                    ClipByGlobalNorm(1)
                } driving: {
                    AdamW(groups: [.vectorsWithoutDecay])
                }
            }
        ),
        (
            "accumulated, and gradients might be absent", .float32,
            {
                try Pipeline(for: $0, configuration: .init(missing: .skipParameter), on: SIMDBackend(threads: 1)) {
                    Accumulate(steps: 3, reduction: .weighted)
                    ClipByValue(1)
                    ClipByZScore()
                } driving: {
                    SGD(learningRate: 0.1, momentum: 0.9)
                }
            }
        ),
        (
            "float16 with a bfloat16 copy and moments", .float16,
            {
                try Pipeline(for: $0, configuration: .init(parameterCopy: .bfloat16), on: SIMDBackend(threads: 1)) {
                    Unscale()
                    Centralize()
                    ClipByGlobalNorm(1)
                } driving: {
                    AdamW(moments: .bfloat16)
                }
            }
        ),
        (
            "moments in 8 bits", .float32,
            {
                try Pipeline(for: $0, on: SIMDBackend(threads: 1)) {
                    ClipByGlobalNorm(1)
                } driving: {
                    AdamW(moments: .int8)
                }
            }
        ),
    ]

    @Test func `the count of allocations counts`() {
        let before = descent_allocation_count()
        let array = (0..<100).map { [Float](repeating: Float($0), count: 10) }
        let count = descent_allocation_count() - before
        guard Sanitizer.leavesAllocationsToCount else { return }
        #expect(before >= 0)
        #expect(count >= array.count)
    }

    @Test(arguments: pipelines.indices) func `steps after the first allocate nothing large`(
        _ index: Int
    ) throws {
        let (name, type, make) = Self.pipelines[index]
        let layout = try makeLayout([[500, 9], [500], [5, 4, 3], [5]])
        var parameters = TensorSet.random(layout, seed: 1)
        var gradients = TensorSet(zeros: layout, type)
        for parameter in layout { gradients[parameter.name] = parameters[parameter.name] }
        var pipeline = try make(parameters)
        #expect(name != "float16 with a bfloat16 copy and moments" || pipeline.sweepCount == 2)
        // Every stage has seen a whole window, and ZClip's warm-up is over.
        for _ in 0..<90 { _ = try pipeline.step(&parameters, gradients: gradients) }
        _ = descent_take_largest_allocation()
        for _ in 0..<300 { _ = try pipeline.step(&parameters, gradients: gradients) }
        let largest = descent_take_largest_allocation()
        #expect(largest < 1_024, "\(name)")
        #expect(largest >= 0 || !Sanitizer.leavesAllocationsToCount)
    }
}
