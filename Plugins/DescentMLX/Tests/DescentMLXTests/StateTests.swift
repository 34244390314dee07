import Descent
import DescentMLX
import Foundation
import MLX
import MLXNN
import MLXOptimizers
import Testing

extension MLXTests {
    @Suite struct StateTests {
        private let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).safetensors").path()

        @ChainBuilder private var stages: [any Stage] {
            Accumulate(steps: 4)
            Unscale(.dynamic(initial: 8, growthInterval: 2))
            ClipByGlobalNorm(0.1)
        }

        /// Trains on micro-batches, and gives the bits of the model.
        @discardableResult
        private func train(_ model: Network, _ optimizer: DescentOptimizer, _ batches: Range<Int>) throws -> [String:
            Data]
        {
            for batch in batches {
                try optimizer.step(
                    model: model, gradients: gradients(of: model, batch: batch, times: optimizer.lossScale))
            }
            return bits(model.parameters())
        }

        @Test(arguments: 0...8) func `a run that is resumed in an open window goes on with the same bits`(moment: Int)
            throws
        {
            defer { try? FileManager.default.removeItem(atPath: path) }
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) {
                stages
            } driving: {
                Descent.AdamW(learningRate: 0.01)
            }
            try train(model, optimizer, 0..<moment)
            try optimizer.checkpoint(to: path, metadata: ["batch": "\(moment)"])
            let saved = restored(model.parameters())
            let resumed = try DescentOptimizer(resuming: path, for: saved) {
                stages
            } driving: {
                Descent.AdamW(learningRate: 0.01)
            }
            #expect(try Checkpoint(contentsOf: path).metadata == ["batch": "\(moment)"])
            #expect(try train(saved, resumed, moment..<16) == train(model, optimizer, moment..<16))
            #expect(resumed.appliedSteps == 4)
        }

        @Test func `a chain in front of an optimizer of MLX's is resumed in an open window`() throws {
            defer { try? FileManager.default.removeItem(atPath: path) }
            let model = Network()
            let optimizer = try DescentOptimizer(MLXOptimizers.SGD(learningRate: 0.5), for: model) { stages }
            try train(model, optimizer, 0..<6)
            try optimizer.checkpoint(to: path)
            let saved = restored(model.parameters())
            let resumed = try DescentOptimizer(MLXOptimizers.SGD(learningRate: 0.5), resuming: path, for: saved) {
                stages
            }
            #expect(resumed.window?.received == 2)
            #expect(try train(saved, resumed, 6..<16) == train(model, optimizer, 6..<16))
        }

        @Test func `another chain, or another model, is not resumed`() throws {
            defer { try? FileManager.default.removeItem(atPath: path) }
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) {
                stages
            } driving: {
                Descent.AdamW(learningRate: 0.01)
            }
            try optimizer.checkpoint(to: path)
            let error = #expect(throws: DescentError.self) {
                try DescentOptimizer(resuming: path, for: model) { Descent.AdamW(learningRate: 0.01) }
            }
            #expect(error?.code == .stateMismatch)
            model.first.freeze()
            #expect(throws: DescentError.self) {
                try DescentOptimizer(resuming: path, for: model) {
                    stages
                } driving: {
                    Descent.AdamW(learningRate: 0.01)
                }
            }
        }

        @Test func `an error is kept, and thrown by the next call that can; nothing is updated until then`() throws {
            defer { try? FileManager.default.removeItem(atPath: path) }
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) { Descent.SGD(learningRate: 0.1) }
            var told: [DescentError] = []
            optimizer.onError = { told.append($0) }
            let before = bits(model.parameters())
            let wrong = ModuleParameters.unflattened(
                gradients(of: model, batch: 0).flattened().map { ($0, $0 == "first.bias" ? wave([7], 0) : $1) })
            let calls: [(DescentOptimizer) throws -> Void] = [
                { try $0.throwKeptError() }, { try $0.checkpoint(to: path) }, { try $0.flush(model: model) },
                { try $0.relayout(for: model) },
                { try $0.step(model: model, gradients: gradients(of: model, batch: 0)) },
            ]
            for call in calls {
                optimizer.update(model: model, gradients: wrong)
                optimizer.update(model: model, gradients: gradients(of: model, batch: 0))
                #expect(bits(model.parameters()) == before)
                let error = #expect(throws: DescentError.self) { try call(optimizer) }
                #expect(error?.code == .shapeMismatch)
                #expect(error?.parameter == "first.bias")
                #expect(optimizer.keptError == nil)
            }
            #expect(told.count == calls.count)
            #expect(!FileManager.default.fileExists(atPath: path))
            optimizer.update(model: model, gradients: gradients(of: model, batch: 0))
            #expect(bits(model.parameters()) != before)
        }

        @Test func `where no values can be read, an error is kept that says so`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) { Descent.SGD(learningRate: 0.1) }
            let found = gradients(of: model, batch: 0)
            let before = bits(model.parameters())
            let mapped = vmap { (factor: MLXArray) in
                optimizer.update(model: model, gradients: found.mapValues { $0 * factor })
                return factor
            }
            eval(mapped(wave([2], 0)))
            #expect(optimizer.keptError?.code == .evaluationFailed)
            #expect(optimizer.keptError?.message.contains("compile the loss and its gradient") == true)
            #expect(bits(model.parameters()) == before)
        }

        @Test func `settings are changed while training, and averages read`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) {
                Descent.SGD(learningRate: 0.1).then { ExponentialMovingAverage(decay: 0.5) }
            }
            try optimizer.withPipeline { pipeline in
                try pipeline.change(Descent.SGD.self) { $0.learningRate = 0 }
            }
            let before = bits(model.parameters())
            try optimizer.step(model: model, gradients: gradients(of: model, batch: 0))
            #expect(bits(model.parameters()) == before)
            let average = optimizer.withPipeline { $0.averagedParameters?["first.bias"] }
            #expect(average == model.first.bias?.asArray(Float.self))
            #expect(optimizer.withChain { $0.layout } == nil)
        }
    }
}
