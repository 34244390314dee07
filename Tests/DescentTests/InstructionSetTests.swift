import Descent
import Foundation
import Testing

/// The same bits at every level of the processor.
@Suite struct InstructionSetTests {
    @Test func `fifty steps of a whole chain give the same parameters at every level and number of threads`() throws {
        let layout = try makeLayout([[40, 33], [40], [7, 3, 3, 3], [7], [11, 40], [11]])
        func train(_ level: InstructionSet, threads: Int, type: ElementType) throws -> [UInt32] {
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
        for type in [ElementType.float32, .bfloat16] {
            let expected = try train(.portable, threads: 1, type: type)
            for level in InstructionSet.allCases where level.isAvailable {
                for threads in [1, 2, 5] {
                    #expect(try train(level, threads: threads, type: type) == expected, "\(level), \(threads) threads")
                }
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
