import Descent
import DescentCore
import TestSupport
import Testing

/// Parameters that are updated into other memory.
@Suite struct OutOfPlaceTests {
    typealias Stages = @Sendable () -> [any Stage]
    typealias Optimizers = @Sendable () -> any Driving

    static let chains: [(name: String, stages: Stages)] = [
        ("none", { [] }),
        ("centralize and clip", { [Centralize(), ClipByGlobalNorm(0.5)] }),
        ("accumulate", { [Accumulate(steps: 2), ClipAdaptively(factor: 0.1), ClipByGlobalNorm(0.5)] }),
        ("frozen", { [Freeze(.named(prefix: "conv")), ClipByNorm(0.5)] }),
        ("whole tensors", { [TopK(share: 0.5), ClipByGlobalNorm(0.5)] }),
        ("half frozen", { [Freeze(.named(prefix: "fc1.bias")), Centralize(), ClipByValue(0.2)] }),
    ]

    static let optimizers: [(name: String, make: Optimizers)] = [
        ("SGD", { SGD(learningRate: 0.1, momentum: 0.9) }),
        ("AdamW and a trust ratio", { AdamW(learningRate: 0.01).then { TrustRatio() } }),
        ("average", { Adam().then { ExponentialMovingAverage(decay: 0.9) } }),
        ("lookahead", { AdamW().then { Lookahead(synchronizationPeriod: 2) } }),
        ("Adafactor", { Adafactor() }),
        (
            "two",
            {
                DrivingOptimizers(Lion().only { $0.rank > 1 }.branches + SGD(learningRate: 0.1).branches)
            }
        ),
    ]

    static let layout: ParameterLayout? = try? ParameterLayout([
        ParameterDescription("fc1.weight", shape: [13, 7]), ParameterDescription("fc1.bias", shape: [13]),
        ParameterDescription("conv.kernel", shape: [2, 2, 2, 17], outputAxis: .last),
        ParameterDescription("conv.bias", shape: [17]), ParameterDescription("empty", shape: [0, 3]),
        ParameterDescription("gain", shape: []),
    ])

    @Test(arguments: chains.indices, optimizers.indices)
    func `they become, bit for bit, what they become in place, and those before stay`(
        _ chain: Int, _ optimizer: Int
    ) throws {
        let layout = try #require(Self.layout)
        for threads in [1, 3] {
            let backend = SIMDBackend(threads: threads, blockLength: 48, elementsPerThread: 32)
            var parameters = TensorSet.random(layout, seed: 3)
            var first = try Pipeline(for: parameters, on: backend, Self.chains[chain].stages) {
                Self.optimizers[optimizer].make()
            }
            var second = first
            var lent = StridedTensors(parameters, seed: 5)
            var third = first
            for step in 0..<5 {
                let before = parameters
                let gradients = TensorSet.random(layout, seed: UInt64(step) + 10)
                let outcome = try first.step(&parameters, gradients: gradients)
                var updated = TensorSet.random(layout, seed: 99)
                let marks = updated.bits
                #expect(try second.step(before, into: &updated, gradients: gradients).isApplied == outcome.isApplied)
                #expect(updated.bits == (outcome.isApplied ? parameters.bits : marks))

                // Strided tensors in, strided tensors of another order out.
                let (old, other) = (lent.set.bits, StridedTensors(updated, seed: UInt64(step) + 30))
                var lentGradients = gradients
                let taken = try lentGradients.withUnsafeTensors { (gradients) throws(DescentError) in
                    try third.step(unsafeParameters: lent.tensors, into: other.tensors, unsafeGradients: gradients)
                }
                #expect(taken.isApplied == outcome.isApplied)
                #expect(lent.set.bits == old && other.gapsAreUntouched)
                if outcome.isApplied {
                    #expect(other.set.bits == parameters.bits)
                    lent = other
                }
            }
            #expect(second.averagedParameters?.bits == first.averagedParameters?.bits)
        }
    }

    @Test func `nothing is written where the step is not taken, and all of it where it diverges`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        let parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 3e38)
        }
        var gradients = TensorSet(zeros: layout)
        gradients["layer0.weight"][3] = .nan
        var updated = TensorSet.random(layout, seed: 2)
        let marks = updated.bits
        #expect(try !pipeline.step(parameters, into: &updated, gradients: gradients).isApplied)
        #expect(updated.bits == marks)
        gradients["layer0.weight"] = [Float](repeating: 1e30, count: 12)
        gradients["layer0.bias"] = [1, 1, 1, 1]
        var plain = try Pipeline(for: parameters) {
            Scale(by: 1)
        } driving: {
            SGD(learningRate: 3e38)
        }
        guard case .diverged = try plain.step(parameters, into: &updated, gradients: gradients) else {
            Issue.record("not diverged")
            return
        }
        #expect(updated.bits != marks && updated["layer0.weight"].contains { !$0.isFinite })
    }

    @Test func `a window is flushed, and gradients are received, into other memory`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 3)
        } driving: {
            AdamW()
        }
        let gradients = TensorSet.random(layout, seed: 2)
        _ = try pipeline.step(&parameters, gradients: gradients)
        var other = pipeline
        var updated = TensorSet(zeros: layout)
        #expect(try pipeline.flush(&parameters)?.isApplied == true)
        #expect(try other.flush(before, into: &updated)?.isApplied == true)
        #expect(updated.bits == parameters.bits && parameters.bits != before.bits)
        #expect(try other.flush(before, into: &updated) == nil)

        other = pipeline
        let start = parameters
        for index in layout.indices {
            try pipeline.receive(gradients, of: index)
            try other.receive(gradients, of: index)
        }
        #expect(try pipeline.step(&parameters, closingWindow: true).isApplied)
        #expect(try other.step(start, into: &updated, closingWindow: true).isApplied)
        #expect(updated.bits == parameters.bits && start.bits != parameters.bits)
    }

    @Test func `a parameter whose gradient is absent is copied`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        let configuration = PipelineConfiguration(missing: .skipParameter)
        var parameters = TensorSet.random(layout, seed: 1)
        var gradients = TensorSet.random(layout, seed: 2)
        var updated = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters, configuration: configuration, driving: { AdamW() })
        let outcome = try parameters.withUnsafeTensors { parameters throws(DescentError) in
            try gradients.withUnsafeTensors { gradients throws(DescentError) in
                try updated.withUnsafeTensors { updated throws(DescentError) in
                    try pipeline.step(
                        unsafeParameters: parameters, into: updated, unsafeGradients: [gradients[0]])
                }
            }
        }
        #expect(outcome.isApplied)
        #expect(updated["layer0.bias"] == parameters["layer0.bias"])
        #expect(updated["layer0.weight"] != parameters["layer0.weight"])
    }

    @Test func `memory that does not fit, or is what is read, is refused before anything has changed`() throws {
        let layout = try makeLayout([[4, 3], [4]])
        var parameters = TensorSet.random(layout, seed: 1)
        var gradients = TensorSet.random(layout, seed: 2)
        let before = parameters.bits
        var pipeline = try Pipeline(for: parameters, driving: { SGD(learningRate: 1) })
        var other = TensorSet(zeros: try makeLayout([[4, 3], [5]]))
        #expect(
            thrownError { _ = try pipeline.step(parameters, into: &other, gradients: gradients) }?.code
                == .shapeMismatch)
        var half = TensorSet(zeros: layout, .bfloat16)
        #expect(
            thrownError { _ = try pipeline.step(parameters, into: &half, gradients: gradients) }?.code
                == .elementTypeMismatch)
        let error = thrownError {
            _ = try parameters.withUnsafeTensors { parameters throws(DescentError) in
                try gradients.withUnsafeTensors { gradients throws(DescentError) in
                    try pipeline.step(unsafeParameters: parameters, into: parameters, unsafeGradients: gradients)
                }
            }
        }
        #expect(error?.code == .sharedMemory && error?.parameter != nil)
        #expect(error?.message.contains("value before the step") == true)
        #expect(parameters.bits == before && pipeline.appliedSteps == 0)
    }
}
