import Descent
import DescentCore
import TestSupport
import Testing

/// Arrays that are lent to a chain, and references that it must not write to.
@Suite struct LendingTests {
    private struct Model: Equatable {
        var weight: [Float] = [1, 2, 3]
        var biases: [[Float]] = [[4], [5, 6]]
    }

    @Test func `parts of a value are lent together, and put back whatever happens`() throws {
        var model = Model()
        let before = model
        func lend(_ body: ([UnsafeTensor]) throws(DescentError) -> Void) throws {
            try UnsafeTensor.lending(
                &model, [("weight", \.weight), ("first", \.biases[0]), ("second", \.biases[1])], body)
        }
        try lend { tensors in
            #expect(tensors.map(\.name) == ["weight", "first", "second"] && tensors.map(\.count) == [3, 1, 2])
        }
        #expect(model == before)
        let error = thrownError {
            try lend { _ throws(DescentError) in throw DescentError(.invalidSetting, "no") }
        }
        #expect(error?.code == .invalidSetting && model == before)
        let layout = try ParameterLayout(shapes: [("weight", [3]), ("first", [1]), ("second", [2])])
        var pipeline = try Pipeline(for: TensorSet(zeros: layout), driving: { SGD(learningRate: 1) })
        var gradients: [String: [Float]] = ["weight": [1, 1, 1], "first": [2], "second": [0, 1]]
        try lend { parameters throws(DescentError) in
            _ = try gradients.withUnsafeTensors { gradients throws(DescentError) in
                try pipeline.step(unsafeParameters: parameters, unsafeGradients: gradients)
            }
        }
        #expect(model == Model(weight: [0, 1, 2], biases: [[2], [5, 5]]))
        #expect(before == Model() && gradients["first"] == [2])
    }

    @Test func `many are lent`() throws {
        let layout = try ParameterLayout(shapes: (0..<1_000).map { ("layer\($0)", [2]) })
        var chain = try Chain(for: layout) { Scale(by: 2) }
        var gradients = Dictionary(uniqueKeysWithValues: layout.map { ($0.name, [Float](repeating: 1, count: 2)) })
        let held = gradients
        let outcome = try gradients.withUnsafeTensors { tensors throws(DescentError) in
            try chain.transform(unsafeGradients: tensors)
        }
        #expect(outcome.isApplied && gradients.values.allSatisfy { $0 == [2, 2] })
        #expect(held.values.allSatisfy { $0 == [1, 1] })
    }

    /// Gradients that are references.
    private final class SharedGradients: HostGradients {
        let memory: UnsafeMutableBufferPointer<Float>

        init(_ values: [Float]) {
            memory = .allocate(capacity: values.count)
            _ = memory.initialize(from: values)
        }

        deinit { memory.deallocate() }

        func withUnsafeTensors<Result>(
            _ body: ([UnsafeTensor]) throws(DescentError) -> Result
        ) throws(DescentError) -> Result {
            try body([UnsafeTensor("weight", memory)])
        }

        func makeResults() -> Self? { Self([Float](repeating: .nan, count: memory.count)) }
    }

    private struct Subtraction: HostOptimizer {
        mutating func update(_ model: inout [Float], gradients: SharedGradients) {
            for index in model.indices { model[index] -= gradients.memory[index] }
        }
    }

    @Test func `gradients that are references are left as they are`() throws {
        let layout = try ParameterLayout(shapes: [("weight", [2])])
        var optimizer = try WrappedOptimizer(Subtraction(), for: layout) {
            Accumulate(steps: 2)
            Scale(by: 4)
        }
        var model: [Float] = [0, 0]
        let gradients = [SharedGradients([1, 2]), SharedGradients([3, 4])]
        #expect(try !optimizer.update(&model, gradients: gradients[0]).isApplied)
        #expect(try optimizer.update(&model, gradients: gradients[1]).isApplied)
        #expect(model == [-8, -12])
        _ = try optimizer.update(&model, gradients: gradients[1])
        #expect(try optimizer.flush(&model, into: gradients[1])?.isApplied == true)
        #expect(model == [-20, -28])
        #expect(Array(gradients[0].memory) == [1, 2] && Array(gradients[1].memory) == [3, 4])
    }

    @Test func `gradients of frozen parameters need not be handed over`() throws {
        let layout = try ParameterLayout(shapes: [("weight", [2]), ("frozen", [3])])
        var pipeline = try Pipeline(for: TensorSet(zeros: layout)) {
            Freeze(.named(prefix: "frozen"))
            Accumulate(steps: 2)
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 1).then { ExponentialMovingAverage(decay: 0.5) }
        }
        var parameters: [String: [Float]] = ["weight": [0, 0], "frozen": [7, 8, 9]]
        for step in 0..<4 {
            // Now and then they are there.
            var gradients: [String: [Float]] = ["weight": [3, 4], "frozen": [1, 1, 1]]
            if step != 1 { gradients["frozen"] = nil }
            _ = try parameters.withUnsafeTensors { parameters throws(DescentError) in
                try gradients.withUnsafeTensors { gradients throws(DescentError) in
                    try pipeline.step(unsafeParameters: parameters, unsafeGradients: gradients)
                }
            }
        }
        #expect(pipeline.appliedSteps == 2 && parameters["frozen"] == [7, 8, 9])
        #expect(try #require(parameters["weight"]).map { ($0 * 10).rounded() } == [-12, -16])
        var missing: [String: [Float]] = ["frozen": [1, 1, 1]]
        let error = thrownError {
            _ = try parameters.withUnsafeTensors { parameters throws(DescentError) in
                try missing.withUnsafeTensors { gradients throws(DescentError) in
                    try pipeline.step(unsafeParameters: parameters, unsafeGradients: gradients)
                }
            }
        }
        #expect(error?.code == .missingParameter && error?.parameter == "weight")
    }
}
