import Descent
import Foundation
import TestSupport
import Testing

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

    @Test func `the variance is eta, and falls with the number of steps`() throws {
        let count = 6000
        let layout = try makeLayout([[count]])
        let (eta, gamma) = (0.04 as Float, 0.55 as Float)
        for (step, noise) in try noise(AddNoise(eta: eta, gamma: gamma, seed: 11), layout, steps: 4).enumerated() {
            let expected = Double(eta) / ReproducibleMath.power(1 + Double(step), Double(gamma))
            let sample = NormalSample(noise["layer0.weight"], deviation: expected.squareRoot())
            #expect(abs(sample.moment(2) - 1) < sample.bound(2), "step \(step)")
        }
    }

    @Test func `moments, tails and the distribution are those of the normal distribution`() throws {
        #if DEBUG
            let count = 1_000_000
        #else
            let count = 10_000_000
        #endif
        let layout = try makeLayout([[count]])
        let noise = try noise(AddNoise(eta: 0.25, gamma: 0, seed: 3), layout)[0]["layer0.weight"]
        let sample = NormalSample(noise, deviation: 0.5)
        for (power, expected) in [(1, 0.0), (2, 1), (3, 0), (4, 3)] {
            #expect(abs(sample.moment(power) - expected) < sample.bound(power), "moment \(power)")
        }
        // Kolmogorov's distribution: 2 is exceeded once in 1,500 samples.
        #expect(sample.distance * Double(count).squareRoot() < 2)
        for (limit, counted) in [(3.0, sample.beyond.three), (4, sample.beyond.four), (5, sample.beyond.five)] {
            let expected = erfc(limit / 2.0.squareRoot()) * Double(count)
            #expect(abs(Double(counted) - expected) < 4 * expected.squareRoot() + 1, "\(counted) beyond \(limit)")
        }
    }

    @Test func `neighbours, tensors, steps and seeds are not correlated, nor are their sizes`() throws {
        #if DEBUG
            let count = 200_000
        #else
            let count = 10_000_000
        #endif
        let layout = try makeLayout([[count], [count]])
        let noise = try noise(AddNoise(eta: 1, gamma: 0, seed: 5), layout, steps: 2)
        let other = try self.noise(AddNoise(eta: 1, gamma: 0, seed: 6), layout)[0]["layer0.weight"]
        let first = noise[0]["layer0.weight"]
        for distance in [1, 2, 3, 4, 8, 16, 32, 48, 64] {
            expectNoCorrelation(first, first, shifted: distance, "\(distance) apart")
        }
        expectNoCorrelation(first, noise[0].arrays[1], "tensors")
        expectNoCorrelation(first, noise[1]["layer0.weight"], "steps")
        expectNoCorrelation(first, other, "seeds")
    }

    /// Expects that neither numbers nor their squares are correlated.
    private func expectNoCorrelation(_ first: [Float], _ second: [Float], shifted: Int = 0, _ what: String) {
        let count = first.count - shifted
        var (products, squares) = (0.0, 0.0)
        first.withUnsafeBufferPointer { first in
            second.withUnsafeBufferPointer { second in
                var index = 0
                while index < count {
                    let (x, y) = (Double(first[index]), Double(second[index + shifted]))
                    products += x * y
                    squares += (x * x - 1) * (y * y - 1)
                    index += 1
                }
            }
        }
        let bound = 4.5 * Double(count).squareRoot()
        #expect(abs(products) < bound, "\(what)")
        #expect(abs(squares) < 2 * bound, "squares, \(what)")
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

    @Test func `the plain default gives the same bits as kernels do`() throws {
        let layout = try makeMixedLayout()
        let stage = AddNoise(seed: 0x0123_4567_89ab_cdef)
        var gradients = PlainTensors(layout)
        var chain = try GradientChain(for: layout, on: PlainBackend()) { stage }
        #expect(try chain.transform(&gradients).isApplied)
        let expected = gradients.values.map { $0.map(\.bitPattern) }
        let noise = try noise(stage, layout, on: SIMDBackend(threads: 2, blockLength: 33, elementsPerThread: 16))[0]
        #expect(noise.arrays.map { $0.map(\.bitPattern) } == expected)
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
}

/// What is known of a sample of numbers that should be normal.
private struct NormalSample {
    private let count: Int
    private var moments = [0.0, 0, 0, 0, 0]
    private(set) var beyond = (three: 0, four: 0, five: 0)
    /// How far the sample's distribution function is from the normal one: Kolmogorov's statistic, at steps of 1/64.
    private(set) var distance = 0.0

    init(_ values: [Float], deviation: Double) {
        count = values.count
        var sums = (0.0, 0.0, 0.0, 0.0)
        var histogram = [Int](repeating: 0, count: 16 * 64 + 2)
        values.withUnsafeBufferPointer { values in
            histogram.withUnsafeMutableBufferPointer { histogram in
                var index = 0
                while index < values.count {
                    let x = Double(values[index]) / deviation
                    let square = x * x
                    sums = (sums.0 + x, sums.1 + square, sums.2 + x * square, sums.3 + square * square)
                    if square > 9 {
                        beyond.three += 1
                        if square > 16 { beyond.four += 1 }
                        if square > 25 { beyond.five += 1 }
                    }
                    histogram[Int((x + 8) * 64) + 1] += 1
                    index += 1
                }
            }
        }
        moments = [1, sums.0, sums.1, sums.2, sums.3]
        var below = 0
        for (index, found) in histogram.enumerated() {
            // The counted ones are those below (index / 64) - 8.
            below += found
            let expected = erfc(-(Double(index) / 64 - 8) / 2.0.squareRoot()) / 2
            distance = max(distance, abs(Double(below) / Double(count) - expected))
        }
    }

    /// The mean of a power.
    func moment(_ power: Int) -> Double { moments[power] / Double(count) }

    /// Four standard deviations of that.
    func bound(_ power: Int) -> Double { 4 * ([0, 1, 2, 15, 96][power] / Double(count)).squareRoot() }
}
