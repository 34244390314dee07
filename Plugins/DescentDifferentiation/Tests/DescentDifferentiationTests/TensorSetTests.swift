import Descent
import DescentDifferentiation
import Testing
import _Differentiation

/// A model that keeps most of its parameters in a set of tensors.
private struct Regression: Differentiable {
    var tensors: TensorSet
    var offset: Float = 1

    init() throws {
        tensors = try TensorSet([
            ParameterDescription("fc.weight", shape: [2, 3]), ParameterDescription("fc.bias", shape: [2]),
            ParameterDescription("unused", shape: [4]),
        ])
        tensors["fc.weight"] = [1, -2, 3, -4, 5, -6]
        tensors["fc.bias"] = [0.5, 0.25]
        tensors["unused"] = [1, 1, 1, 1]
    }

    @differentiable(reverse)
    func energy() -> Float {
        let weight = tensors.elements(of: "fc.weight")
        return sumOfSquares(weight) + sumOfSquares(weight) + sumOfSquares(tensors.elements(of: "fc.bias"))
            + offset * offset
    }

    static var parameters: [ModelParameter<Regression>] {
        [ModelParameter(\.offset, \.offset), ModelParameter(\.tensors, \.tensors)]
    }
}

@Suite struct TensorSetTests {
    @Test func `a gradient holds what a function reads of a set, added up, and nothing of the rest`() throws {
        let gradient = gradient(at: try Regression()) { $0.energy() }
        #expect(gradient.tensors.elements == ["fc.weight": [4, -8, 12, -16, 20, -24], "fc.bias": [1, 0.5]])
        #expect(gradient.offset == 2)
    }

    @Test func `a set of tensors in a model is trained to the bits of the plain pipeline`() throws {
        var model = try Regression()
        var optimizer = try ModelOptimizer(for: model, parameters: Regression.parameters) {
            Centralize()
            ClipByNorm(1)
        } driving: {
            AdamW(learningRate: 0.1)
        }
        #expect(optimizer.pipeline.layout.map(\.name) == ["offset", "fc.weight", "fc.bias", "unused"])
        var tensors = TensorSet(
            [[model.offset]] + model.tensors.layout.map { model.tensors[$0.name] }, layout: optimizer.pipeline.layout)
        var pipeline = try Pipeline(for: tensors) {
            Centralize()
            ClipByNorm(1)
        } driving: {
            AdamW(learningRate: 0.1)
        }
        let copy = model
        for _ in 0..<5 {
            let gradient = gradient(at: model) { $0.energy() }
            let elements = gradient.tensors.elements
            let arrays = [[gradient.offset], elements["fc.weight"], elements["fc.bias"], [0, 0, 0, 0]].compactMap { $0 }
            _ = try pipeline.step(&tensors, gradients: TensorSet(arrays, layout: pipeline.layout))
            try optimizer.update(&model, along: gradient)
            #expect([model.offset.bitPattern] + model.tensors.bits == tensors.bits)
        }
        #expect(copy.tensors.bits == (try Regression()).tensors.bits)
        #expect(model.tensors.bits != copy.tensors.bits)
    }

    @Test func `tangent vectors add, subtract and move, with nothing for zero`() throws {
        typealias Tangent = TensorSet.TangentVector
        let (left, right) = (Tangent(["a": [1, 2], "b": []]), Tangent(["a": [10, 20], "b": [3]]))
        #expect(left + right == Tangent(["a": [11, 22], "b": [3]]))
        #expect(left - right == Tangent(["a": [-9, -18], "b": [-3]]))
        #expect(left + .zero == left)
        #expect(.zero + right == right)
        var set = try TensorSet(
            ["a": [1, 1], "b": [1]],
            layout: ParameterLayout([
                ParameterDescription("a", shape: [2]), ParameterDescription("b", shape: [1]),
            ]))
        set.move(by: left)
        #expect(set["a"] == [2, 3])
        #expect(set["b"] == [1])
    }

    @Test func `a gradient for a tensor that is not in the set, or of another size, is refused by name`() throws {
        var model = try Regression()
        var optimizer = try ModelOptimizer(for: model, parameters: Regression.parameters) { SGD(learningRate: 1) }
        let unknown = try #require(throws: DescentError.self) {
            try optimizer.update(&model, along: .init(tensors: .init(["fc.wight": [1]]), offset: 0))
        }
        #expect(unknown.code == .unexpectedParameter)
        #expect(unknown.parameter == "fc.wight")
        let size = try #require(throws: DescentError.self) {
            try optimizer.update(&model, along: .init(tensors: .init(["fc.bias": [1]]), offset: 0))
        }
        #expect(size.code == .shapeMismatch)
        #expect(size.parameter == "fc.bias")
    }

    @Test func `a set that is not float32, or has changed its layout, is refused`() throws {
        var model = try Regression()
        var optimizer = try ModelOptimizer(for: model, parameters: Regression.parameters) { SGD(learningRate: 1) }
        let layout = model.tensors.layout
        model.tensors = TensorSet(zeros: layout, .bfloat16)
        var error = try #require(throws: DescentError.self) { try optimizer.update(&model, along: .zero) }
        #expect(error.code == .elementTypeMismatch)
        model.tensors = TensorSet(zeros: try ParameterLayout(Array(layout.dropLast())))
        error = try #require(throws: DescentError.self) { try optimizer.update(&model, along: .zero) }
        #expect(error.code == .missingParameter)
        #expect(error.parameter == "unused")
    }
}
