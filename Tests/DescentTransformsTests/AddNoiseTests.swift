import Descent
import Foundation
import TestSupport
import Testing

@testable import DescentTransforms

/// Gaussian noise that depends on the seed, the step and the element's place, and on nothing else.
@Suite struct AddNoiseTests {
    /// The noise of a number of steps: what is added to gradients of zeros.
    private func noise(
        _ stage: AddNoise, _ layout: ParameterLayout, steps: Int = 1, on backend: SIMDBackend = SIMDBackend(threads: 1),
        behind: [any Stage] = []
    ) throws -> [TensorSet] {
        var chain = try Chain(for: layout, on: backend) {
            stage
            behind
        }
        var noise: [TensorSet] = []
        for _ in 0..<steps {
            var gradients = TensorSet(zeros: layout)
            #expect(try chain.transform(&gradients).isApplied)
            noise.append(gradients)
        }
        return noise
    }

    // MARK: Distribution

    @Test func `mean, variance and tails are those of the normal distribution, and the variance falls`() throws {
        let count = 6000
        let layout = try makeLayout([[count]])
        let (eta, gamma) = (0.04 as Float, 0.55 as Float)
        for (step, noise) in try noise(AddNoise(eta: eta, gamma: gamma, seed: 11), layout, steps: 4).enumerated() {
            let expected = Double(eta) / ReproducibleMath.power(1 + Double(step), Double(gamma))
            let values = noise["layer0.weight"].map { Double($0) / expected.squareRoot() }
            // Five standard deviations of each estimate.
            let bound = 5 / Double(count).squareRoot()
            let mean = values.reduce(0, +) / Double(count)
            #expect(abs(mean) < bound, "step \(step)")
            let variance = values.reduce(0) { $0 + $1 * $1 } / Double(count)
            #expect(abs(variance - 1) < bound * 2.0.squareRoot(), "step \(step)")
            let fourth = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / Double(count)
            #expect(abs(fourth - 3) < bound * 96.0.squareRoot(), "step \(step)")
            let beyond = Double(values.count { abs($0) > 1.959964 }) / Double(count)
            #expect(abs(beyond - 0.05) < bound * (0.05 * 0.95).squareRoot(), "step \(step)")
            for distance in [1, 2, 3, 4, 8] {
                let products = zip(values, values.dropFirst(distance)).map { $0 * $1 }
                #expect(abs(products.reduce(0, +) / Double(count)) < bound, "step \(step), \(distance) apart")
            }
        }
    }

    @Test func `with a gamma of 0 the variance stays, and skipped steps do not make it fall`() throws {
        let layout = try makeLayout([[400]])
        func size(_ tensors: TensorSet) -> Float { tensors["layer0.weight"].reduce(0) { $0 + $1 * $1 } / 400 }
        let steady = try noise(AddNoise(eta: 1, gamma: 0, seed: 1), layout, steps: 3)
        for noise in steady { #expect(abs(size(noise) - 1) < 0.4) }

        var chain = try Chain(for: layout) { AddNoise(eta: 1, gamma: 8, seed: 1) }
        var spoiled = TensorSet(zeros: layout)
        spoiled["layer0.weight"][7] = .nan
        for _ in 0..<3 { #expect(try !chain.transform(&spoiled).isApplied) }
        var gradients = TensorSet(zeros: layout)
        #expect(try chain.transform(&gradients).isApplied)
        #expect(gradients.bits == steady[0].bits)
    }

    @Test func `steps, parameters, elements and seeds have noise of their own`() throws {
        let layout = try makeLayout([[40], [40], [10, 4]])
        let noise = try noise(AddNoise(eta: 1, gamma: 0, seed: 1), layout, steps: 2)
        let other = try self.noise(AddNoise(eta: 1, gamma: 0, seed: 1 << 40), layout)
        let tensors = noise.flatMap(\.arrays) + other.flatMap(\.arrays)
        #expect(Set(tensors.joined()).count > 9 * 40 - 3)
    }

    // MARK: Reproducibility

    private func makeMixedLayout() throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("a", shape: [9, 7]), ParameterDescription("b", shape: [70]),
            ParameterDescription("c", shape: [3, 40], outputAxis: .last), ParameterDescription("d", shape: []),
            ParameterDescription("e", shape: [2, 3, 5, 1]),
        ])
    }

    @Test func `any number of threads and any blocks get the same bits, in one sweep and in several`() throws {
        let layout = try makeMixedLayout()
        let stage = AddNoise(seed: 0xfeed_beef_0123_4567)
        let expected = try noise(stage, layout, steps: 2).map(\.bits)
        // The clip measures the noisy gradient in a sweep of its own, and is too large to change it.
        let measured: [any Stage] = [ClipByGlobalNorm(1e9), ClipByValue(1e9), ClipByGlobalNorm(1e9)]
        for (threads, blockLength) in [(1, 1), (1, 16), (2, 33), (8, 50)] {
            let backend = SIMDBackend(threads: threads, blockLength: blockLength, elementsPerThread: 16)
            #expect(try noise(stage, layout, steps: 2, on: backend).map(\.bits) == expected, "\(blockLength)")
            #expect(try noise(stage, layout, steps: 2, on: backend, behind: measured).map(\.bits) == expected)
        }
    }

    @Test func `the norm behind it is that of the noisy gradient`() throws {
        let layout = try makeMixedLayout()
        var gradients = TensorSet(zeros: layout)
        var chain = try Chain(for: layout) {
            AddNoise(eta: 1, seed: 2)
            ClipByGlobalNorm(0.5)
        }
        #expect(try chain.transform(&gradients).isApplied)
        let squares = gradients.arrays.joined().reduce(0) { $0 + Double($1) * Double($1) }
        #expect(abs(squares.squareRoot() - 0.5) < 1e-5)
    }

    @Test func `settings out of range are refused`() throws {
        for stage in [
            AddNoise(eta: 0, seed: 1), AddNoise(eta: -1, seed: 1), AddNoise(eta: Float.nan, seed: 1),
            AddNoise(gamma: -0.1, seed: 1), AddNoise(gamma: .infinity, seed: 1), AddNoise(gamma: .nan, seed: 1),
        ] {
            let error = #expect(throws: DescentError.self) { try Chain(for: makeLayout([[1]])) { stage } }
            #expect(error?.code == .invalidSetting)
        }
    }

    @Test func `noise on micro-batches, or before unscaling, is refused`() throws {
        for stages: [any Stage] in [
            [AddNoise(seed: 1), Accumulate(steps: 2)], [AddNoise(seed: 1), Unscale()],
        ] {
            let error = #expect(throws: DescentError.self) { try Chain(for: makeLayout([[1]])) { stages } }
            #expect(error?.code == .stageOrder)
        }
    }

    // MARK: The generator

    @Test func `Philox gives the published answers`() {
        // The test vectors of Random123, "philox4x32 10".
        let ones = UInt32.max
        #expect(
            Philox.generate(counter: SIMD4(0, 0, 0, 0), key: 0)
                == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        #expect(
            Philox.generate(counter: SIMD4(ones, ones, ones, ones), key: .max)
                == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
        #expect(
            Philox.generate(
                counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: 0x299f_31d0_a409_3822)
                == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    }

    /// Random bits for uniform numbers over the whole range, both ends and the seams of the approximation.
    private var samples: [UInt32] {
        var generator = SeededGenerator(seed: 9)
        var bits: [UInt32] = [0, 1, 2, 3, 60, 61, 1 << 16, 1 << 31 - 1, 1 << 31]
        bits += (0..<32).map { UInt32.max >> UInt32($0) }
        let seam = UInt32(0.075 * 0x1p32)
        bits += (seam - 3)...(seam + 3)
        bits += (0..<2000).map { _ in UInt32.random(in: .min ... .max, using: &generator) }
        return bits
    }

    @Test func `the quantile function is symmetric, finite and increases`() {
        let bits = samples.sorted()
        #expect(bits.allSatisfy { GaussianQuantile.value($0) == -GaussianQuantile.value(~$0) })
        let values = bits.map { GaussianQuantile.value($0) }
        #expect(zip(values, values.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(values.allSatisfy { abs($0) < 6.5 })
    }

    @Test func `the quantile function inverts the normal distribution function`() {
        for bits in samples {
            let value = Double(GaussianQuantile.value(bits))
            // In the tail, the small one of the two probabilities keeps its digits.
            let uniform = (Double(min(bits, ~bits)) + 0.5) * 0x1p-32
            let probability = erfc(abs(value) / 2.0.squareRoot()) / 2
            let density = exp(-value * value / 2) / (2 * Double.pi).squareRoot()
            // Newton's step from the value to the exact quantile is its error.
            let error = (probability - uniform) / density
            #expect(abs(error) < 1e-6 * max(1, abs(value)), "\(bits) gives \(value)")
        }
    }
}
