import Descent
import Foundation
import TestSupport
import Testing

/// The same bits at every level of the processor.
@Suite struct InstructionSetTests {
    @Test func `the digest is that of the standard`() {
        #expect(sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(sha256("abc".utf8) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    /// How a run of fifty steps differs from others.
    struct Run: Hashable, Sendable {
        let moments: ElementType
        let decays: [Double]
        /// Whether some parameters and gradients are zeros of either sign.
        let prunes: Bool

        init(_ moments: ElementType, decays: [Double] = [0.9, 0.999], prunes: Bool) {
            (self.moments, self.decays, self.prunes) = (moments, decays, prunes)
        }
    }

    /// The digest is written down, so that every machine is held to the same bits.
    ///
    /// Some of the runs are those of decays in float32, which Double holds too.
    @Test(arguments: [
        Run(.float32, decays: [0.9, 0.999].map { Double(Float($0)) }, prunes: false):
            "20d629ee4e34e384b8f99d0ebb5213613a453b1e1cb2d05c7c601f97379142c5",
        Run(.bfloat16, decays: [0.9, 0.999].map { Double(Float($0)) }, prunes: false):
            "f90346786f7ee5dff428cb2130a3d8edd64620149b95830b0e3666f7502f5425",
        Run(.float32, prunes: false): "06d81c1283a801a1081ac6936709175cbff1e238bd895c52bd547d07aacb5245",
        Run(.float32, prunes: true): "e8629f4834d15052deca3e8b7dd900c96ede1573e942aa2d6eea0af063022c80",
        Run(.bfloat16, prunes: true): "06f3b260bfb430a0622eb214b33246a583edb522628021f697f2048e3982d2f7",
    ]) func `fifty steps of a whole chain give one digest of the parameters, at every level and number of threads`(
        run: Run, digest: String
    ) throws {
        let layout = try makeLayout([[40, 33], [40], [7, 3, 3, 3], [7], [11, 40], [11]])
        func train(_ level: InstructionSet, threads: Int) throws -> [UInt32] {
            var parameters = TensorSet.random(layout, seed: 1, scale: 0.1)
            if run.prunes { parameters = parameters.pruned(seed: 1) }
            let backend = SIMDBackend(threads: threads, blockLength: 256, elementsPerThread: 256, instructionSet: level)
            var pipeline = try Pipeline(for: parameters, on: backend) {
                Unscale(.dynamic(initial: 64, growthInterval: 10))
                Centralize()
                ClipByGlobalNorm(1)
            } driving: {
                AdamW(
                    learningRate: .warmupCosine(peak: 0.01, warmup: 10, total: 50), beta1: run.decays[0],
                    beta2: run.decays[1], moments: run.moments)
            }
            for step in 0..<50 {
                var gradients = TensorSet.random(layout, seed: UInt64(step) + 2)
                if run.prunes { gradients = gradients.pruned(seed: UInt64(step) + 2) }
                _ = try pipeline.step(&parameters, gradients: gradients)
            }
            return parameters.bits
        }
        for level in InstructionSet.allCases where level.isAvailable {
            for threads in [1, 2, 5] {
                let bits = try train(level, threads: threads)
                let bytes = bits.flatMap { bits in (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) } }
                #expect(sha256(bytes) == digest, "\(level), \(threads) threads")
            }
        }
    }

    @Test func `portable kernels are available everywhere`() {
        #expect(InstructionSet.portable.isAvailable)
        #expect(InstructionSet.preferred.isAvailable)
    }

    @Test func `an instruction set that does not exist, forced by the environment, ends the program with a reason`()
        async
    {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            setenv("DESCENT_INSTRUCTION_SET", "avx1024", 1)
            _ = SIMDBackend()
        }
        let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(message.contains("DESCENT_INSTRUCTION_SET is \"avx1024\"; this processor has portable"))
    }
}
