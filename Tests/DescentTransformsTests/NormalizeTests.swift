import Descent
import TestSupport
import Testing

/// Dividing gradients by their global norm.
@Suite struct NormalizeTests {
    private func norm(_ tensors: TensorSet) -> Double {
        tensors.arrays.joined().reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    @Test(arguments: [1e-12, 1e-3, 1, 50, 1e15] as [Float]) func `the norm becomes n / (n + epsilon)`(
        _ scale: Float
    ) throws {
        let layout = try makeLayout([[6, 5], [6], []])
        let original = TensorSet.random(layout, seed: 1, scale: scale)
        for epsilon: Float in [1e-6, 0.1] {
            var gradients = original
            var chain = try Chain(for: layout) { Normalize(epsilon: epsilon) }
            #expect(try chain.transform(&gradients).isApplied)
            let before = norm(original)
            let expected = before / (before + Double(epsilon))
            #expect(abs(norm(gradients) - expected) <= 1e-6 * expected)
            let divided = original.arrays.joined().map { Double($0) / (before + Double(epsilon)) }
            #expect(largestDifference(gradients.arrays.joined(), divided) <= 1e-6 * expected)
        }
    }

    @Test func `a zero gradient stays zero`() throws {
        let layout = try makeLayout([[6, 5], [0]])
        var gradients = TensorSet(zeros: layout)
        var chain = try Chain(for: layout) { Normalize() }
        #expect(try chain.transform(&gradients).isApplied)
        #expect(gradients.arrays.joined().allSatisfy { $0 == 0 })
    }

    @Test func `behind other stages it is their norm that counts`() throws {
        let layout = try makeLayout([[6, 5], [6]])
        var gradients = TensorSet.random(layout, seed: 2)
        var chain = try Chain(for: layout) {
            Unscale(.static(1024))
            Centralize()
            ClipByValue(0.0001)
            ClipByGlobalNorm(1e-4)
            Normalize(epsilon: 1e-20)
        }
        #expect(try chain.transform(&gradients).isApplied)
        #expect(abs(norm(gradients) - 1) < 1e-6)
    }

    @Test(arguments: [0, -1, Float.nan, .infinity]) func `epsilon has to be finite and above zero`(
        _ epsilon: Float
    ) throws {
        let error = #expect(throws: DescentError.self) {
            try Chain(for: makeLayout([[1]])) { Normalize(epsilon: epsilon) }
        }
        #expect(error?.code == .invalidSetting)
    }
}
