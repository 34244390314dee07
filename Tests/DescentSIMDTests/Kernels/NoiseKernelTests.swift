import DescentCore
import TestSupport
import Testing

@testable import DescentSIMD

/// The kernel of noise at every level that the machine has, against its plain definition, bit for bit.
@Suite struct NoiseKernelTests {
    private func same(_ level: InstructionSet, _ noise: NormalNoise, first: Int, count: Int) -> Bool {
        var generator = SeededGenerator(seed: UInt64(count))
        // One element before and one behind stay as they are.
        var elements = (0..<count + 2).map { _ in generator.normal() }
        var expected = Array(elements[1..<count + 1])
        let (before, behind) = (elements[0], elements[count + 1])
        var span = expected.mutableSpan
        noise.add(to: &span, from: first)
        elements.withUnsafeMutableBufferPointer { elements in
            guard let start = elements.baseAddress else { return }
            Kernels(level).add(noise, to: start + 1, count: count, from: first)
        }
        return elements[1..<count + 1].elementsEqual(expected) { $0.bitPattern == $1.bitPattern }
            && elements[0] == before && elements[count + 1] == behind
    }

    @Test(arguments: KernelTests.levels) func `every level gives the bits of the definition`(_ level: InstructionSet) {
        let noise = NormalNoise(deviation: 0.7, seed: 0x0123_4567_89ab_cdef, parameter: 3, step: 12)
        for count in 0...70 {
            for first in [0, 1, 13, 63, 64, 100, 1 << 32 - 5, 1 << 34 - 30] {
                #expect(same(level, noise, first: first, count: count), "\(count) from \(first)")
            }
        }
        for first in 0...70 { #expect(same(level, noise, first: first, count: 150), "from \(first)") }
    }

    @Test(arguments: KernelTests.levels, [0, 0x1p-148, 1e-20, 1e19] as [Float])
    func `deviations of any size give the bits of the definition`(_ level: InstructionSet, _ deviation: Float) {
        let noise = NormalNoise(deviation: deviation, seed: 1, parameter: 0, step: 0)
        #expect(same(level, noise, first: 7, count: 10_000))
    }
}
