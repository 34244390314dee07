import Descent
import DescentMLX
import MLX
import MLXNN
import MLXOptimizers
import Testing

extension MLXTests {
    @Suite struct BaseOptimizerTests {
        @Test func `a chain in front of MLX's Adam ends within 1e-6 of MLX's own operations after 100 steps`() throws {
            let (model, other) = (Network(), Network())
            let optimizer = try DescentOptimizer(MLXOptimizers.Adam(learningRate: 0.001), for: model) {
                Accumulate(steps: 2)
                ClipByGlobalNorm(0.05)
            }
            let adam = MLXOptimizers.Adam(learningRate: 0.001)
            var clipped = 0
            optimizer.onStep = { if $0.report?.isClipped ?? false { clipped += 1 } }
            for step in 0..<100 {
                var sum: ModuleParameters?
                for batch in [2 * step, 2 * step + 1] {
                    optimizer.update(model: model, gradients: gradients(of: model, batch: batch))
                    let found = gradients(of: other, batch: batch)
                    sum = sum.map { $0.mapValues(found) { $0 + $1! } } ?? found
                }
                let mean = sum!.flattened().map { ($0, $1 / 2) }
                let (arrays, _) = clipGradNorm(gradients: mean.map(\.1), maxNorm: 0.05)
                adam.update(model: other, gradients: .unflattened(Array(zip(mean.map(\.0), arrays))))
                eval(other, adam)
            }
            try optimizer.throwKeptError()
            #expect(optimizer.appliedSteps == 100)
            #expect(clipped > 0)
            #expect(largestDifference(other, Network()) > 0.05)
            #expect(largestDifference(model, other) <= 1e-6)
        }

        @Test func `Descent's AdamW ends within 1e-5 of MLX's after 100 steps`() throws {
            let (model, other) = (Network(), Network())
            let optimizer = try DescentOptimizer(for: model) {
                Descent.AdamW(learningRate: 0.01, weightDecay: 0.01)
            }
            let adam = MLXOptimizers.AdamW(learningRate: 0.01, weightDecay: 0.01, biasCorrection: true)
            for batch in 0..<100 {
                optimizer.update(model: model, gradients: gradients(of: model, batch: batch))
                adam.update(model: other, gradients: gradients(of: other, batch: batch))
                eval(other, adam)
            }
            try optimizer.throwKeptError()
            #expect(largestDifference(other, Network()) > 0.05)
            #expect(largestDifference(model, other) <= 1e-5)
        }

        @Test func `it goes wherever an optimizer of MLX's goes`() throws {
            let model = Network()
            let own = try DescentOptimizer(for: model) { Descent.SGD(learningRate: 0.1) }
            #expect(own.innerState().isEmpty)
            let optimizer = try DescentOptimizer(MLXOptimizers.Adam(learningRate: 0.01), for: model) {
                ClipByGlobalNorm(1)
            }
            let taken: [any MLXOptimizers.Optimizer] = [own, optimizer]
            for each in taken {
                each.update(model: model, gradients: gradients(of: model, batch: 0))
                eval(model, each)
            }
            #expect(optimizer.innerState().count == 12)
            try optimizer.throwKeptError()
            try own.throwKeptError()
        }

        @Test func `the optimizer is not called in an open window`() throws {
            final class Counting: MLXOptimizers.Optimizer {
                var calls = 0
                func update(model: Module, gradients: ModuleParameters) { calls += 1 }
                func innerState() -> [MLXArray] { [] }
            }
            let (model, counting) = (Network(), Counting())
            let optimizer = try DescentOptimizer(counting, for: model) { Accumulate(steps: 3) }
            for batch in 0..<4 { optimizer.update(model: model, gradients: gradients(of: model, batch: batch)) }
            #expect(counting.calls == 1)
            #expect(try optimizer.flush(model: model)?.isApplied == true)
            #expect(counting.calls == 2)
        }

        @Test func `stages that look at parameters are handed them`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(MLXOptimizers.SGD(learningRate: 0.1), for: model) {
                ClipAdaptively(factor: 0.01)
            }
            #expect(try optimizer.step(model: model, gradients: gradients(of: model, batch: 0)).isApplied)
        }

        @Test func `to leave parameters out of a step is refused in front of an optimizer of MLX's`() {
            let error = #expect(throws: DescentError.self) {
                try DescentOptimizer(
                    MLXOptimizers.SGD(learningRate: 0.1), for: Network(),
                    configuration: PipelineConfiguration(missing: .skipParameter)
                ) { ClipByGlobalNorm(1) }
            }
            #expect(error?.code == .invalidSetting)
        }
    }
}
