import Descent
import DescentMLX
import MLX
import MLXNN
import MLXOptimizers
import Testing

extension MLXTests {
    @Suite struct LayoutTests {
        /// A linear layer with a low-rank adapter, as in mlx-swift-lm: `x @ lora_a @ lora_b`.
        private final class Adapted: Module, UnaryLayer {
            let linear = Linear(weight: wave([3, 6], 0.2))
            @ParameterInfo(key: "lora_a") var loraA = wave([6, 2], 0.4)
            @ParameterInfo(key: "lora_b") var loraB = wave([2, 3], 0.6)

            override init() {
                super.init()
                linear.freeze()
            }

            func callAsFunction(_ input: MLXArray) -> MLXArray {
                linear(input) + matmul(matmul(input, loraA), loraB)
            }
        }

        @Test func `the two matrices of an adapter have their outputs last, and what is frozen is not in the layout`()
            throws
        {
            let model = Adapted()
            let optimizer = try DescentOptimizer(for: model) {
                Centralize()
            } driving: {
                Descent.SGD(learningRate: 1)
            }
            #expect(optimizer.layout.map(\.name) == ["lora_a", "lora_b"])
            #expect(optimizer.layout.map(\.outputAxis) == [.last, .last])
            #expect(optimizer.explain().contains("2 outputs of 6 inputs (last axis): lora_a"))
            #expect(optimizer.explain().contains("3 outputs of 2 inputs (last axis): lora_b"))
            #expect(!optimizer.explain().contains("Warning"))
            let (before, found) = (model.loraB, gradients(of: model, batch: 0))
            let gradient = found.flattened().first { $0.0 == "lora_b" }!.1
            let expected = before * 1 - (gradient - gradient.mean(axis: 0, keepDims: true))
            eval(expected)
            try optimizer.step(model: model, gradients: found)
            #expect(abs(model.loraB - expected).max().item(Float.self) < 1e-6)
        }

        @Test func `which axis has the outputs can be said otherwise`() throws {
            let model = Adapted()
            let first = try DescentOptimizer(for: model, outputsLast: nil) { Descent.SGD(learningRate: 1) }
            #expect(first.layout.map(\.outputAxis) == [.first, .first])
            let one = try DescentOptimizer(for: model, outputsLast: .named(suffix: "lora_b")) {
                Descent.SGD(learningRate: 1)
            }
            #expect(one.layout.map(\.outputAxis) == [.first, .last])
            #expect(throws: DescentError.self) {
                try DescentOptimizer(for: Network(), outputsLast: .named(suffix: "lora_b")) {
                    Descent.SGD(learningRate: 1)
                }
            }
        }

        @Test func `layers that are frozen and thawed are refused by name until told, and keep their state`() throws {
            let (model, other) = (Network(), Network())
            let make = { (model: Network) in
                try DescentOptimizer(for: model) { Descent.SGD(learningRate: 0.1, momentum: 0.9) }
            }
            let (optimizer, unchanged) = (try make(model), try make(other))
            for batch in 0..<3 {
                try optimizer.step(model: model, gradients: gradients(of: model, batch: batch))
                try unchanged.step(model: other, gradients: gradients(of: other, batch: batch))
            }
            model.first.freeze()
            let before = bits(model.parameters())
            optimizer.update(model: model, gradients: gradients(of: model, batch: 3))
            #expect(optimizer.keptError?.code == .missingParameter)
            #expect(optimizer.keptError?.message.contains("relayout(for: model)") == true)
            #expect(bits(model.parameters()) == before)
            try optimizer.relayout(for: model)
            #expect(optimizer.layout.map(\.name) == ["second.bias", "second.weight"])
            try optimizer.step(model: model, gradients: gradients(of: model, batch: 3))
            try unchanged.step(model: other, gradients: gradients(of: other, batch: 3))
            // The momentum of what stayed went on; what was frozen did not move.
            let (after, expected) = (bits(model.parameters()), bits(other.parameters()))
            #expect(after["second.weight"] == expected["second.weight"])
            #expect(after["first.weight"] == before["first.weight"])
            model.first.unfreeze()
            let error = #expect(throws: DescentError.self) {
                try optimizer.step(model: model, gradients: gradients(of: model, batch: 4))
            }
            #expect(error?.code == .unexpectedParameter)
            #expect(error?.message.contains("relayout(for: model)") == true)
            try optimizer.relayout(for: model)
            #expect(try optimizer.step(model: model, gradients: gradients(of: model, batch: 4)).isApplied)
            #expect(bits(model.parameters())["first.weight"] != before["first.weight"])
        }

        @Test func `nothing is told of other parameters while a window is open`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) {
                Accumulate(steps: 2)
            } driving: {
                Descent.SGD(learningRate: 0.1)
            }
            try optimizer.step(model: model, gradients: gradients(of: model, batch: 0))
            model.first.freeze()
            let error = #expect(throws: DescentError.self) { try optimizer.relayout(for: model) }
            #expect(error?.code == .openWindow)
            #expect(optimizer.layout.count == 4)
            #expect(try optimizer.flush(model: model)?.isApplied == true)
            try optimizer.relayout(for: model)
            #expect(optimizer.layout.count == 2)
        }

        @Test func `gradients that are absent may be left out, and their parameters are as they were`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(
                for: model, configuration: PipelineConfiguration(missing: .skipParameter)
            ) {
                Descent.SGD(learningRate: 0.1, momentum: 0.9)
            }
            try optimizer.step(model: model, gradients: gradients(of: model, batch: 0))
            let before = bits(model.parameters())
            model.first.freeze()
            try optimizer.step(model: model, gradients: gradients(of: model, batch: 1))
            let after = bits(model.parameters())
            #expect(after["first.weight"] == before["first.weight"])
            #expect(after["second.weight"] != before["second.weight"])
        }

        @Test func `what the chain itself freezes is as it was`() throws {
            let model = Network()
            let optimizer = try DescentOptimizer(for: model) {
                Freeze(prefix: "first.")
            } driving: {
                Descent.AdamW(learningRate: 0.1, weightDecay: 0.1)
            }
            let before = bits(model.parameters())
            for batch in 0..<2 {
                // The gradients of what is frozen need not be there.
                let found = gradients(of: model, batch: batch).flattened()
                    .filter { batch == 0 || $0.0.hasPrefix("second.") }
                try optimizer.step(model: model, gradients: .unflattened(found))
            }
            let after = bits(model.parameters())
            #expect(after["first.weight"] == before["first.weight"])
            #expect(after["second.weight"] != before["second.weight"])
        }

        @Test func `an array under two names is trained once, along the sum of its gradients`() throws {
            final class Tied: Module, UnaryLayer {
                let into: MLXArray
                let back: MLXArray
                let out = wave([3, 6], 0.8)

                init(isTied: Bool) {
                    into = wave([6, 6], 0.1)
                    back = isTied ? into : wave([6, 6], 0.2)
                }

                func callAsFunction(_ input: MLXArray) -> MLXArray {
                    matmul(matmul(tanh(matmul(input, into.T)), back), out.T)
                }
            }
            let model = Tied(isTied: true)
            let optimizer = try DescentOptimizer(for: model) { Descent.SGD(learningRate: 0.1) }
            #expect(optimizer.layout.map(\.name) == ["back", "out"])
            let found = Dictionary(uniqueKeysWithValues: gradients(of: model, batch: 0).flattened())
            let expected = model.into * 1 - 0.1 * (found["into"]! + found["back"]!)
            eval(expected)
            try optimizer.step(model: model, gradients: .unflattened(found))
            #expect(model.into === model.back)
            #expect(abs(model.into - expected).max().item(Float.self) < 1e-6)
            // They are two also where MLX has made them in one buffer.
            var shared = found
            shared["into"] = found["back"]
            let again = model.into * 1 - 0.2 * found["back"]!
            eval(again)
            try optimizer.step(model: model, gradients: .unflattened(shared))
            #expect(abs(model.into - again).max().item(Float.self) < 1e-6)
            // Other modules have been put in, or taken out: the names are told before anything is updated.
            let other = Tied(isTied: false)
            for (optimizer, model, name) in [
                (optimizer, other, "into"),
                (try DescentOptimizer(for: other) { Descent.SGD(learningRate: 0.1) }, model, "into"),
            ] {
                let before = bits(model.parameters())
                let error = #expect(throws: DescentError.self) {
                    try optimizer.step(model: model, gradients: gradients(of: model, batch: 0))
                }
                #expect(error?.code == .sharedMemory)
                #expect(error?.parameter == name)
                #expect(bits(model.parameters()) == before)
                try optimizer.relayout(for: model)
                #expect(try optimizer.step(model: model, gradients: gradients(of: model, batch: 0)).isApplied)
            }
        }

        @Test(arguments: [false, true])
        func `modules may lie in dictionaries and lists, with numbers for keys and some of them frozen`(drivesMLX: Bool)
            throws
        {
            final class Experts: Module {
                let experts = ["0": Linear(weight: wave([2, 3], 0.1)), "10": Linear(weight: wave([2, 3], 0.2))]
                let layers = [Linear(weight: wave([2, 3], 0.3)), Linear(weight: wave([2, 3], 0.4))]
            }
            let model = Experts()
            model.layers[0].freeze()
            let optimizer =
                drivesMLX
                ? try DescentOptimizer(MLXOptimizers.Adam(learningRate: 0.1), for: model) { ClipByGlobalNorm(1) }
                : try DescentOptimizer(for: model) { Descent.Adam(learningRate: 0.1) }
            #expect(optimizer.layout.map(\.name) == ["experts.0.weight", "experts.10.weight", "layers.1.weight"])
            let before = bits(model.parameters())
            for _ in 0..<2 {
                let found = model.trainableParameters().mapValues { $0 * 0 + 1 }
                #expect(try optimizer.step(model: model, gradients: found).isApplied)
            }
            for (name, array) in model.parameters().flattened() {
                #expect((bits(array) == before[name]) == (name == "layers.0.weight"), "\(name)")
            }
        }

        @Test func `what cannot be trained is refused by name`() {
            final class Counts: Module { var counts = MLXArray([1, 2, 3] as [Int32]) }
            let error = #expect(throws: DescentError.self) {
                try DescentOptimizer(for: Counts()) { Descent.SGD(learningRate: 0.1) }
            }
            #expect(error?.code == .elementTypeMismatch)
            #expect(error?.parameter == "counts")
            let model = Network()
            model.freeze()
            let frozen = #expect(throws: DescentError.self) {
                try DescentOptimizer(for: model) { Descent.SGD(learningRate: 0.1) }
            }
            #expect(frozen?.code == .invalidSetting)
        }
    }
}
