import DescentCore
import TestSupport
import Testing

@testable import DescentSIMD

/// Kernels of units that are the last dimension, of averages and counts, against the reference, bit for bit.
///
/// Those of one level: what others give is compared with them by ``KernelTrialTests``.
@Suite struct UnitKernelTests {
    private let kernels = Kernels(.portable)

    /// Numbers in ranges where squares are floats, and where they are not.
    private static let scales: [Float] = [1, 0x1p70, 0x1p-70]

    private func numbers(_ count: Int, seed: UInt64, scale: Float = 1, special: Bool = false) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        let specials: [Float] = [
            0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude,
        ]
        return (0..<count).map { _ in
            let number = generator.normal() * scale
            return special && Int.random(in: 0..<40, using: &generator) == 0
                ? specials[Int.random(in: specials.indices, using: &generator)] : number
        }
    }

    private func bits(_ numbers: [Float]) -> [UInt32] { numbers.map { $0.isNaN ? 0x7fc0_0000 : $0.bitPattern } }

    /// The elements of a unit.
    private func unit(_ index: Int, of elements: [Float], stride: Int, segments: Int) -> [Float] {
        (0..<segments).map { elements[$0 * stride + index] }
    }

    @Test(arguments: [1, 2, 15, 16, 17, 33, 64, 70], [(1, 0), (3, 1), (300, 0), (515, 2)])
    func `units have the means of the reference, and are clipped and centered as there`(
        _ units: Int, _ shape: (segments: Int, gap: Int)
    ) {
        let (segments, stride) = (shape.segments, units + shape.gap)
        for (scale, special) in Self.scales.flatMap({ [($0, false), ($0, true)] }) {
            let source = numbers(segments * stride, seed: 1, scale: scale, special: special)
            let parameters = numbers(segments * units, seed: 2, special: special)
            var means = [Float](repeating: .nan, count: units)
            kernels.unitMeans(source, segments: segments, stride: stride, units: units, into: &means)
            let elements = (0..<units).map { unit($0, of: source, stride: stride, segments: segments) }
            #expect(bits(means) == bits(elements.map(ReferenceKernels.mean(ofUnit:))))

            var (clipped, expected) = (source, source)
            kernels.clipUnits(
                &clipped, stride: stride, by: parameters, parameterStride: units, segments: segments, units: units,
                factor: 0.5, minimumNorm: 0.001, epsilon: 1e-6)
            for index in 0..<units {
                let scale = ReferenceKernels.scale(
                    ofUnit: elements[index],
                    by: unit(index, of: parameters, stride: units, segments: segments), factor: 0.5,
                    minimumNorm: 0.001, epsilon: 1e-6)
                for segment in 0..<segments { expected[segment * stride + index] *= scale }
            }
            #expect(bits(clipped) == bits(expected), "\(scale)")

            var centered = parameters
            kernels.subtractUnitMeans(&centered, segments: segments, units: units, factor: 0.37, means: means)
            #expect(bits(centered) == bits(parameters.indices.map { parameters[$0] - 0.37 * means[$0 % units] }))
        }
    }

    @Test func `averages, differences and counts are those of one element after the other`() {
        for count in Array(0...40) + [1_003] {
            for special in [false, true] {
                let (parameters, slots) = (
                    numbers(count, seed: 3, special: special), numbers(count, seed: 4, special: special)
                )
                let averages = zip(slots, parameters).map { $0 + 0.3 * ($1 - $0) }
                for replaces in [false, true] {
                    var (moved, slot) = (parameters, slots)
                    kernels.blend(&moved, into: &slot, count: count, weight: 0.3, replacing: replaces)
                    #expect(bits(slot) == bits(averages))
                    #expect(bits(moved) == bits(replaces ? averages : parameters))
                    kernels.blend(&moved, into: &slot, count: count, weight: 1, replacing: replaces)
                    #expect(bits(slot) == bits(moved))
                }
                var difference = slots
                kernels.subtract(parameters, from: &difference, count: count)
                #expect(bits(difference) == bits(zip(slots, parameters).map { $0 - $1 }))

                parameters.withUnsafeBytes { source in
                    guard let start = source.baseAddress else { return }
                    let gradient = PendingGradient(
                        source: start, .float32, rows: 1, columns: count, factor: -0.7, means: nil)
                    for limit: Float in [0, 0.5, .infinity] {
                        #expect(
                            kernels.count(gradient, below: limit)
                                == parameters.count { (-0.7 * $0).magnitude < limit })
                    }
                }
                for limit: Float in [0.5, 3, 65_520] {
                    #expect(
                        kernels.areSmaller(parameters, than: limit, count: count)
                            == parameters.allSatisfy { $0.magnitude < limit })
                }
            }
        }
    }
}
