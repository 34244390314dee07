import Descent
import DescentMLX
import Foundation
import MLX
import MLXNN
import MLXOptimizers
import Testing

extension MLXTests {
    @Suite struct LowPrecisionTests {
        /// A network of 16 bits, but for one layer where asked.
        private func makeNetwork(_ type: DType, float32Second: Bool = false) -> Network {
            let model = Network(type)
            if float32Second {
                model.update(
                    parameters: .unflattened(
                        model.second.parameters().flattened().map { ("second.\($0)", $1.asType(.float32)) }))
            }
            eval(model)
            return model
        }

        @Test(arguments: [DType.bfloat16, .float16], [false, true])
        func `weights of 16 bits are refused unless it is said how they are trained`(type: DType, isMixed: Bool) throws
        {
            let model = makeNetwork(type, float32Second: isMixed)
            let error = #expect(throws: DescentError.self) {
                try DescentOptimizer(for: model) { Descent.AdamW(learningRate: 0.01) }
            }
            #expect(error?.code == .elementTypeMismatch)
            #expect(error?.message.contains("masterCopies") == true)
        }

        @Test(arguments: [DType.bfloat16, .float16], [false, true])
        func `with master copies, weights of 16 bits follow those of float32`(type: DType, isMixed: Bool) throws {
            let model = makeNetwork(type, float32Second: isMixed)
            let reference = restored(model.parameters().mapValues { $0.asType(.float32) })
            let make = { (model: Network) in
                try DescentOptimizer(
                    for: model, configuration: PipelineConfiguration(lowPrecisionParameters: .masterCopies)
                ) {
                    Descent.SGD(learningRate: 1e-4)
                }
            }
            let (optimizer, expected) = (try make(model), try make(reference))
            let held = model.first.weight[.ellipsis]
            let before = bits(held)
            for batch in 0..<200 {
                // The same gradients: rounded to 16 bits, as a model of 16 bits makes them.
                let found = gradients(of: reference, batch: batch)
                let types = Dictionary(uniqueKeysWithValues: model.parameters().flattened().map { ($0, $1.dtype) })
                let rounded = ModuleParameters.unflattened(found.flattened().map { ($0, $1.asType(types[$0]!)) })
                #expect(try optimizer.step(model: model, gradients: rounded).isApplied)
                try expected.step(
                    model: reference, gradients: .unflattened(rounded.flattened().map { ($0, $1.asType(.float32)) }))
            }
            for ((name, array), (_, exact)) in zip(model.parameters().flattened(), reference.parameters().flattened()) {
                let stored = !isMixed || name.hasPrefix("first.") ? type : .float32
                #expect(array.dtype == stored)
                #expect(bits(array) == bits(exact.asType(stored)))
            }
            #expect(bits(held) == before)
            #expect(bits(model.first.weight) != before)
        }

        @Test func `master copies are in the checkpoint, so that a resumed run has the same bits`() throws {
            let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).safetensors").path()
            defer { try? FileManager.default.removeItem(atPath: path) }
            let configuration = PipelineConfiguration(lowPrecisionParameters: .masterCopies)
            let model = makeNetwork(.bfloat16)
            let optimizer = try DescentOptimizer(for: model, configuration: configuration) {
                Accumulate(steps: 2)
            } driving: {
                Descent.AdamW(learningRate: 1e-4)
            }
            for batch in 0..<5 { try optimizer.step(model: model, gradients: gradients(of: model, batch: batch)) }
            try optimizer.checkpoint(to: path)
            let saved = restored(model.parameters(), in: makeNetwork(.bfloat16))
            let resumed = try DescentOptimizer(resuming: path, for: saved, configuration: configuration) {
                Accumulate(steps: 2)
            } driving: {
                Descent.AdamW(learningRate: 1e-4)
            }
            for batch in 5..<40 {
                try optimizer.step(model: model, gradients: gradients(of: model, batch: batch))
                try resumed.step(model: saved, gradients: gradients(of: saved, batch: batch))
            }
            #expect(bits(saved.parameters()) == bits(model.parameters()))
            #expect(bits(saved.parameters()) != bits(makeNetwork(.bfloat16).parameters()))
        }

        @Test func `rounded at random, weights of 16 bits move though each update is too small`() throws {
            let model = makeNetwork(.bfloat16)
            let start = model.parameters().flattened().map { $0.1.asType(.float32) }
            eval(start)
            let optimizer = try DescentOptimizer(
                for: model, configuration: PipelineConfiguration(lowPrecisionParameters: .stochasticRounding)
            ) {
                Descent.SGD(learningRate: 1e-5)
            }
            let ones = model.parameters().mapValues { $0 * 0 + 1 }
            for _ in 0..<1_000 { optimizer.update(model: model, gradients: ones) }
            try optimizer.throwKeptError()
            let moved = zip(start, model.parameters().flattened()).map { ($0 - $1.1.asType(.float32)).flattened() }
            #expect(abs(concatenated(moved).mean().item(Float.self) - 0.01) < 0.001)
            #expect(model.first.weight.dtype == .bfloat16)
        }

        @Test func `a chain in front of an optimizer of MLX's takes weights of 16 bits as they are`() throws {
            let (model, other) = (makeNetwork(.bfloat16), makeNetwork(.bfloat16))
            let optimizer = try DescentOptimizer(MLXOptimizers.SGD(learningRate: 0.5), for: model) {
                ClipAdaptively(factor: 10)
                ClipByGlobalNorm(1_000)
            }
            let sgd = MLXOptimizers.SGD(learningRate: 0.5)
            for batch in 0..<5 {
                #expect(try optimizer.step(model: model, gradients: gradients(of: model, batch: batch)).isApplied)
                sgd.update(model: other, gradients: gradients(of: other, batch: batch))
                eval(other)
            }
            #expect(bits(model.parameters()) == bits(other.parameters()))
            #expect(model.first.weight.dtype == .bfloat16)
        }

        @Test func `a model that is cast is refused until told`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(
                for: model, configuration: PipelineConfiguration(lowPrecisionParameters: .masterCopies)
            ) {
                Descent.SGD(learningRate: 0.1)
            }
            try optimizer.step(model: model, gradients: gradients(of: model, batch: 0))
            model.apply { $0.asType(.bfloat16) }
            let error = #expect(throws: DescentError.self) {
                try optimizer.step(model: model, gradients: gradients(of: model, batch: 1))
            }
            #expect(error?.code == .elementTypeMismatch)
            try optimizer.relayout(for: model)
            #expect(try optimizer.step(model: model, gradients: gradients(of: model, batch: 1)).isApplied)
            #expect(model.first.weight.dtype == .bfloat16)
        }
    }
}
