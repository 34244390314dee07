import Descent
import DescentDifferentiation
import Testing
import _Differentiation

@Suite struct RefusalTests {
    private func error(
        of parameters: [ModelParameter<Model>], requiresAll: Bool = true
    ) throws -> DescentError {
        try #require(throws: DescentError.self) {
            _ = try ModelOptimizer(for: Model(), parameters: parameters, requiresAll: requiresAll) {
                SGD(learningRate: 1)
            }
        }
    }

    @Test func `a gradient of another size is refused by name and changes nothing`() throws {
        var model = Model()
        var optimizer = try ModelOptimizer(for: model, parameters: Model.parameters) { SGD(learningRate: 1) }
        var gradient = gradient(at: model) { $0.energy() }
        gradient.rest.base[0].weight.base.removeLast()
        let error = try #require(throws: DescentError.self) { try optimizer.update(&model, along: gradient) }
        #expect(error.code == .shapeMismatch)
        #expect(error.parameter == "rest.0.weight")
        #expect(error.message == "The gradient of \"rest.0.weight\" has 5 elements; its shape [3, 2] has 6.")
        #expect(model.bits == Model().bits)
    }

    @Test func `a model of another size is refused by name and changes nothing`() throws {
        var optimizer = try ModelOptimizer(for: Model(), parameters: Model.parameters) { SGD(learningRate: 1) }
        var model = Model()
        model.first.bias.append(5)
        let before = model.bits
        for update in [0, 1] {
            let error = try #require(throws: DescentError.self) {
                if update == 0 { try optimizer.flush(&model) } else { try optimizer.update(&model, along: .zero) }
            }
            #expect(error.code == .shapeMismatch)
            #expect(error.parameter == "first.bias")
            #expect(model.bits == before)
        }
    }

    @Test func `an error from within the pipeline gives the model its arrays back`() throws {
        var model = Model()
        var optimizer = try ModelOptimizer(for: model, parameters: Model.parameters) { SGD(learningRate: 1) }
        let error = try #require(throws: DescentError.self) {
            try optimizer.update(&model, along: .zero, lossScale: 2)
        }
        #expect(error.code == .lossScaleMismatch)
        #expect(model.bits == Model().bits)
    }

    @Test func `a shape that is not the array's is refused by name`() throws {
        let error = try error(of: [ModelParameter(\.first.weight, \.first.weight, shape: [2, 2])])
        #expect(error.code == .shapeMismatch)
        #expect(error.message == "The model's \"first.weight\" has 6 elements; its shape [2, 2] has 4.")
    }

    @Test func `one member under one name or two is refused`() throws {
        let twice = ModelParameter<Model>(\.first.bias, \.first.bias)
        #expect(try error(of: [twice, twice], requiresAll: false).code == .duplicateParameter)
        let again = ModelParameter<Model>(\.first.bias, \.first.bias, named: "again")
        #expect(try error(of: [twice, again], requiresAll: false).parameter == "again")
        let gains = [ModelParameter<Model>(\.gain, \.gain), ModelParameter(\.gain, \.gain, named: "again")]
        #expect(try error(of: gains, requiresAll: false).parameter == "again")
    }

    @Test func `two ways to one array are refused`() throws {
        let both = [
            ModelParameter<Model>(\.first.bias, \.first.bias),
            ModelParameter(\.sameBias, \.first.bias, named: "tied"),
        ]
        let error = try error(of: both, requiresAll: false)
        #expect(error.code == .duplicateParameter)
        #expect(error.parameter == "tied")
    }

    @Test func `a path with a subscript or a computed property needs a name`() throws {
        for parameter in [
            ModelParameter<Model>(\.rest[1].bias, \.rest[orZero: 1].bias), ModelParameter(\.sameBias, \.first.bias),
        ] {
            let error = try error(of: [ModelParameter(\.gain, \.gain), parameter])
            #expect(error.code == .invalidName)
            #expect(error.message.hasPrefix("Parameter 1 of the list"))
        }
    }

    @Test func `a member that nobody listed is refused by name, unless that is meant`() throws {
        let listed = [ModelParameter<Model>(\.first.weight, \.first.weight), ModelParameter(\.gain, \.gain)]
        let error = try error(of: listed)
        #expect(error.code == .missingParameter)
        #expect(error.parameter == "first.bias")

        var model = Model()
        var optimizer = try ModelOptimizer(for: model, parameters: listed, requiresAll: false) {
            SGD(learningRate: 0.5)
        }
        try optimizer.update(&model, along: gradient(at: model) { $0.energy() })
        #expect(model.gain == 0)
        #expect(model.first.bias == Layer().bias)
    }

    @Test func `what an array of layers holds and nobody listed is refused by the first update`() throws {
        var model = Model()
        var optimizer = try ModelOptimizer(for: model, parameters: Array(Model.parameters.dropLast(2) + [Model.gain])) {
            SGD(learningRate: 0.5)
        }
        for _ in 0..<2 {
            let error = try #require(throws: DescentError.self) {
                try optimizer.update(&model, along: gradient(at: model) { $0.energy() })
            }
            #expect(error.code == .missingParameter)
            #expect(error.parameter == "rest.1.bias")
            #expect(model.bits == Model().bits)
        }
    }

    @Test func `numbers of another type are refused by name, unless left out on purpose`() throws {
        struct Mixed<Other: Differentiable>: Differentiable {
            var bias: [Float] = [1]
            var other: Other
        }
        func check<Other: Differentiable & Equatable>(_ other: Other, _ gradient: Other.TangentVector) throws {
            var model = Mixed(other: other)
            let parameters = [ModelParameter<Mixed<Other>>(\.bias, \.bias)]
            let error = #expect(throws: DescentError.self) {
                _ = try ModelOptimizer(for: model, parameters: parameters) { SGD(learningRate: 1) }
            }
            #expect(error?.code == .elementTypeMismatch)
            #expect(error?.parameter == "other")
            var optimizer = try ModelOptimizer(for: model, parameters: parameters, requiresAll: false) {
                SGD(learningRate: 1)
            }
            try optimizer.update(&model, along: .init(bias: [0.25], other: gradient))
            #expect(model.bias == [0.75])
            #expect(model.other == other)
        }
        try check(0.5 as Double, 1)
        try check(SIMD4<Float>(1, 2, 3, 4), SIMD4(1, 1, 1, 1))
    }
}

extension Model {
    fileprivate static let gain = ModelParameter<Model>(\.gain, \.gain)

    /// The first layer's bias, by another way.
    fileprivate var sameBias: [Float] {
        get { first.bias }
        set { first.bias = newValue }
    }
}
