import Descent
import DescentMLX
import MLX
import MLXNN
import MLXOptimizers
import Testing

/// All tests: MLX computes on one stream, so that they run one after another.
@Suite(.serialized) struct MLXTests {}

extension MLXTests {
    @Suite struct StepTests {
        private func makeOptimizer(for model: Module) throws -> DescentOptimizer {
            try DescentOptimizer(for: model) {
                ClipByGlobalNorm(0.05)
                Centralize()
            } driving: {
                Descent.AdamW(learningRate: 0.01, weightDecay: 0.1)
            }
        }

        @Test func `gradients of a linear layer lie transposed, and give the bits of their copies in row-major order`()
            throws
        {
            let (model, other) = (Network(), Network())
            let (optimizer, expected) = (try makeOptimizer(for: model), try makeOptimizer(for: other))
            for batch in 0..<5 {
                let found = gradients(of: model, batch: batch)
                eval(found)
                #expect(found.flattened().contains { $0.1.asData(access: .noCopy).strides == [1, 6] || $0.1.ndim < 2 })
                let copies = found.mapValues { MLXArray($0.asArray(Float.self), $0.shape) }
                #expect(try optimizer.step(model: model, gradients: found).isApplied)
                try expected.step(model: other, gradients: copies)
                #expect(bits(model.parameters()) == bits(other.parameters()))
            }
        }

        @Test func `gradients may be views: of one buffer, backwards, and with one element for all`() throws {
            let (model, other) = (Network(), Network())
            let (optimizer, expected) = (try makeOptimizer(for: model), try makeOptimizer(for: other))
            let buffer = wave([16, 12], 0.7)
            let views = ModuleParameters.unflattened([
                ("first.weight", buffer[.stride(from: 15, to: 7, by: -1), .stride(by: 2)]),
                ("first.bias", broadcast(MLXArray(Float(0.25)), to: [8])),
                ("second.weight", buffer[2..<10, 3..<6].T), ("second.bias", buffer[3, 1..<4]),
            ])
            let copies = views.mapValues { MLXArray($0.asArray(Float.self), $0.shape) }
            let before = buffer.asArray(Float.self)
            try optimizer.step(model: model, gradients: views)
            try expected.step(model: other, gradients: copies)
            #expect(bits(model.parameters()) == bits(other.parameters()))
            #expect(buffer.asArray(Float.self) == before)
        }

        @Test(arguments: [false, true])
        func `arrays that share memory with parameters are as they were`(drivesMLX: Bool) throws {
            let model = Network()
            let optimizer =
                drivesMLX
                ? try DescentOptimizer(MLXOptimizers.SGD(learningRate: 1), for: model) { ClipByGlobalNorm(1) }
                : try makeOptimizer(for: model)
            eval(model)
            let held = model.parameters().mapValues { $0[.ellipsis] }
            let transposed = model.first.weight.T
            let computedLater = model.second.weight * 2
            let own = model.first.weight
            let expected = (bits(held), bits(transposed), bits(model.second.weight * 2))
            for batch in 0..<3 {
                let found = gradients(of: model, batch: batch)
                asyncEval(found)
                let before = bits(found)
                try optimizer.step(model: model, gradients: found)
                #expect(bits(found) == before)
            }
            #expect(bits(held) == expected.0)
            #expect(bits(transposed) == expected.1)
            #expect(bits(computedLater) == expected.2)
            #expect(bits(model.parameters()) != expected.0)
            // The model's own objects are given new contents, as by any optimizer of MLX's.
            #expect(own === model.first.weight)
        }

        @Test func `parameters of one to three elements, and of none, are updated`() throws {
            final class Small: Module {
                var scalar = MLXArray(Float(2))
                var one = wave([1], 0)
                var two = wave([2], 0)
                var three = wave([3, 1], 0)
                var none = MLXArray([Float](), [0, 4])
            }
            let model = Small()
            let optimizer = try DescentOptimizer(for: model) { Descent.SGD(learningRate: 1) }
            let gradients = model.parameters().mapValues { $0 * 0 + 1 }
            let expected = model.parameters().mapValues { $0 - 1 }
            eval(expected)
            #expect(try optimizer.step(model: model, gradients: gradients).isApplied)
            #expect(bits(model.parameters()) == bits(expected))
        }

        @Test func `parameters may lie transposed, and share one buffer`() throws {
            let (model, other) = (Network(), Network())
            let buffer = concatenated([other.first.weight.T, other.first.weight.T], axis: 0)
            model.update(parameters: .unflattened([("first.weight", buffer[0..<6].T)]))
            let alike = buffer[6..<12]
            let (optimizer, expected) = (try makeOptimizer(for: model), try makeOptimizer(for: other))
            for batch in 0..<2 {
                try optimizer.step(model: model, gradients: gradients(of: model, batch: batch))
                try expected.step(model: other, gradients: gradients(of: other, batch: batch))
            }
            #expect(bits(model.parameters()) == bits(other.parameters()))
            #expect(bits(alike.T) == bits(Network().first.weight))
        }

        @Test func `the outcome of every micro-batch is told, and a window is closed by a flush`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) {
                Accumulate(steps: 3)
            } driving: {
                Descent.SGD(learningRate: 0.1)
            }
            var told: [String] = []
            optimizer.onStep = { outcome in
                switch outcome {
                case .accumulated(let progress): told.append("accumulated \(progress.received)")
                case .applied(let report): told.append("applied \(report.appliedSteps)")
                default: told.append("other")
                }
            }
            for batch in 0..<4 { optimizer.update(model: model, gradients: gradients(of: model, batch: batch)) }
            #expect(optimizer.window?.received == 1)
            #expect(try optimizer.flush(model: model)?.isApplied == true)
            #expect(try optimizer.flush(model: model) == nil)
            #expect(told == ["accumulated 1", "accumulated 2", "applied 1", "accumulated 1", "applied 2"])
            #expect(optimizer.appliedSteps == 2)
        }

        @Test(arguments: [false, true])
        func `a batch with NaN is skipped and named, and the run goes on as if it had not been`(drivesMLX: Bool) throws
        {
            let (model, other) = (Network(), Network())
            let make = { (model: Network) in
                drivesMLX
                    ? try DescentOptimizer(MLXOptimizers.Adam(learningRate: 0.01), for: model) { ClipByGlobalNorm(1) }
                    : try makeOptimizer(for: model)
            }
            let (optimizer, expected) = (try make(model), try make(other))
            var skipped: [String] = []
            optimizer.onStep = { if let reason = $0.skipReason { skipped.append(reason.parameter ?? "") } }
            for batch in 0..<6 {
                if batch == 3 {
                    let before = bits(model.parameters())
                    let found = spoiled(gradients(of: model, batch: 99), "second.weight", by: .nan)
                    optimizer.update(model: model, gradients: found)
                    #expect(bits(model.parameters()) == before)
                }
                optimizer.update(model: model, gradients: gradients(of: model, batch: batch))
                expected.update(model: other, gradients: gradients(of: other, batch: batch))
            }
            try optimizer.throwKeptError()
            #expect(skipped == ["second.weight"])
            #expect((optimizer.appliedSteps, optimizer.skippedSteps) == (6, 1))
            #expect(bits(model.parameters()) == bits(other.parameters()))
        }

        @Test func `an update that leaves the range of floats is carried out, and told`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) { Descent.SGD(learningRate: 1e38) }
            let large = model.parameters().mapValues { $0 * 0 + 1e3 }
            guard case .diverged(let divergence) = try optimizer.step(model: model, gradients: large) else {
                Issue.record("not diverged")
                return
            }
            #expect(divergence.parameter == "first.bias")
            #expect(model.first.weight.asArray(Float.self).allSatisfy { $0 == -.infinity })
        }

        @Test func `a loss scale is undone, and falls where gradients overflow`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) {
                Unscale(.dynamic(initial: 1_024))
            } driving: {
                Descent.SGD(learningRate: 1)
            }
            #expect(optimizer.lossScale == 1_024)
            let found = gradients(of: model, batch: 1)
            let expected = model.parameters().flattened().map { $0.1.asArray(Float.self) }
            let scaled = gradients(of: model, batch: 1, times: optimizer.lossScale)
            try optimizer.step(model: model, gradients: scaled, lossScale: 1_024)
            for ((old, new), gradient) in zip(zip(expected, model.parameters().flattened()), found.flattened()) {
                let moved = zip(old, gradient.1.asArray(Float.self)).map { $0 - $1 }
                #expect(zip(moved, new.1.asArray(Float.self)).allSatisfy { abs($0 - $1) < 1e-6 })
            }
            optimizer.update(model: model, gradients: spoiled(scaled, "first.bias", by: .infinity))
            #expect(optimizer.lossScale == 512)
            #expect(throws: DescentError.self) { try optimizer.step(model: model, gradients: scaled, lossScale: 1_024) }
        }
    }
}
