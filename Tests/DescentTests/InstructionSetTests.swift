import Descent
import Foundation
import Testing

/// The same bits at every level of the processor.
@Suite struct InstructionSetTests {
    @Test func `the digest is that of the standard`() {
        #expect(sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(sha256("abc".utf8) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    /// The digest is written down, so that every machine is held to the same bits.
    @Test(arguments: [
        (ElementType.float32, "20d629ee4e34e384b8f99d0ebb5213613a453b1e1cb2d05c7c601f97379142c5"),
        (.bfloat16, "f90346786f7ee5dff428cb2130a3d8edd64620149b95830b0e3666f7502f5425"),
    ]) func `fifty steps of a whole chain give one digest of the parameters, at every level and number of threads`(
        moments type: ElementType, digest: String
    ) throws {
        let layout = try makeLayout([[40, 33], [40], [7, 3, 3, 3], [7], [11, 40], [11]])
        func train(_ level: InstructionSet, threads: Int) throws -> [UInt32] {
            var parameters = TensorSet.random(layout, seed: 1, scale: 0.1)
            let backend = SIMDBackend(threads: threads, blockLength: 256, elementsPerThread: 256, instructionSet: level)
            var pipeline = try Pipeline(for: parameters, on: backend) {
                Unscale(.dynamic(initial: 64, growthInterval: 10))
                Centralize()
                ClipByGlobalNorm(1)
            } driving: {
                AdamW(learningRate: .warmupCosine(peak: 0.01, warmup: 10, total: 50), moments: type)
            }
            for step in 0..<50 {
                let gradients = TensorSet.random(layout, seed: UInt64(step) + 2)
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
