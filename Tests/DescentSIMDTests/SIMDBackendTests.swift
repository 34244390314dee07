import Descent
import DescentCore
import TestSupport
import Testing

/// The SIMD backend against the plain meaning of every operation, and against itself.
@Suite struct SIMDBackendTests {
    typealias Stages = @Sendable () -> [any Stage]

    static let chains: [(name: String, stages: Stages)] = [
        ("none", { [] }),
        ("scale", { [Scale(by: 0.37)] }),
        ("unscale and clip", { [Unscale(.static(1024)), ClipByGlobalNorm(0.001)] }),
        ("centralize", { [Centralize()] }),
        ("centralize and clip", { [Centralize(), ClipByGlobalNorm(0.5)] }),
        ("clip and centralize", { [ClipByGlobalNorm(0.5), Centralize(), ClipLayerwise(default: 0.2)] }),
        ("L1", { [ClipByGlobalNorm(0.5, norm: .l1)] }),
        ("centralized L1", { [Centralize(), ClipByGlobalNorm(0.5, norm: .l1)] }),
        ("L-infinity", { [ClipByGlobalNorm(0.05, norm: .lInfinity)] }),
        ("L3", { [Centralize(), ClipByGlobalNorm(0.5, norm: .lp(3))] }),
        ("value", { [Centralize(), ClipByValue(-0.1...0.2), Centralize(), ClipByNorm(0.1)] }),
        ("accumulate", { [Accumulate(steps: 2, reduction: .weighted), Centralize(), ClipByGlobalNorm(0.5)] }),
        ("before accumulation", { [Centralize(), ClipByNorm(1), Accumulate(steps: 2), ClipByNorm(0.2)] }),
    ]

    static let optimizers: [any Driving] = [
        SGD(learningRate: 0.1),
        SGD(learningRate: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.01, maximize: true),
        SGD(learningRate: 0.1, momentum: 0.9, nesterov: true),
        AdamW(learningRate: 0.01),
        AdamW(learningRate: 0.01, amsgrad: true, groups: [.vectorsWithoutDecay]),
    ]

    static func randomShapes(seed: UInt64) -> [[Int]] {
        var generator = SeededGenerator(seed: seed)
        return [[], [0], [1], [5, 0], [1, 1], [1, 700], [40, 1], [33, 17]]
            + (0..<6).map { _ in
                (0..<Int.random(in: 1...4, using: &generator)).map { _ in Int.random(in: 1...9, using: &generator) }
            }
    }

    private func train(
        _ layout: ParameterLayout, _ stages: Stages, _ optimizer: any Driving, on backend: SIMDBackend, steps: Int = 4
    ) throws -> TensorSet {
        var parameters = TensorSet.random(layout, seed: 7)
        var pipeline = try Pipeline(for: parameters, on: backend, stages) { optimizer }
        for step in 0..<steps {
            _ = try pipeline.step(
                &parameters, gradients: .random(layout, seed: UInt64(step) + 100), weight: Double(step + 1))
        }
        return parameters
    }

    @Test(arguments: chains.indices) func `agrees with the plain defaults on random shapes`(_ chain: Int) throws {
        for (seed, optimizer) in Self.optimizers.enumerated() {
            let layout = try makeLayout(Self.randomShapes(seed: UInt64(seed)))
            let stages = Self.chains[chain].stages
            let fast = try train(layout, stages, optimizer, on: SIMDBackend(threads: 2, blockLength: 64))
            var plain = PlainTensors(.random(layout, seed: 7))
            var pipeline = try GradientPipeline(for: plain, on: PlainBackend(), stages) { optimizer }
            for step in 0..<4 {
                let gradients = PlainTensors(.random(layout, seed: UInt64(step) + 100))
                _ = try pipeline.step(&plain, gradients: gradients, weight: Double(step + 1))
            }
            for (fast, plain) in zip(fast.arrays.joined(), plain.values.joined()) {
                // Adam divides by roots of squares that can be tiny, which magnifies the difference of sums.
                #expect(abs(fast - plain) <= 2e-5 * max(1, abs(plain)), "\(Self.chains[chain].name), \(optimizer)")
            }
        }
    }

    @Test(arguments: chains.indices) func `gives the same bits with any number of threads`(_ chain: Int) throws {
        let layout = try makeLayout([[30, 50], [300], [200, 3], [1, 4500], [8, 3, 3, 3], [900]])
        func backend(_ threads: Int) -> SIMDBackend {
            SIMDBackend(threads: threads, blockLength: 128, elementsPerThread: 256)
        }
        let stages = Self.chains[chain].stages
        let optimizer = AdamW(learningRate: 0.01)
        let expected = try train(layout, stages, optimizer, on: backend(1)).bits
        for threads in [2, 3, 8] {
            let bits = try train(layout, stages, optimizer, on: backend(threads)).bits
            #expect(bits == expected, "\(threads) threads")
        }
    }

    @Test func `a copy of a pipeline goes its own way`() throws {
        let layout = try makeLayout([[8, 8], [8]])
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.9)
        }
        for seed in 0..<3 { _ = try pipeline.step(&parameters, gradients: .random(layout, seed: UInt64(seed))) }
        var (copy, copied) = (pipeline, parameters)
        for seed in 10..<15 { _ = try copy.step(&copied, gradients: .random(layout, seed: UInt64(seed))) }
        var (again, repeated) = (pipeline, parameters)
        for seed in 10..<15 { _ = try again.step(&repeated, gradients: .random(layout, seed: UInt64(seed))) }
        #expect(copied.bits == repeated.bits)
        #expect(copied.bits != parameters.bits)
    }
}
