import Descent
import DescentDifferentiation
import Testing
import _Differentiation

@Suite struct UpdateTests {
    private func makeOptimizer(for model: Model) throws -> ModelOptimizer<Model> {
        try ModelOptimizer(for: model, parameters: Model.parameters) {
            Accumulate(steps: 2)
            Unscale(.static(4))
            Centralize()
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 0.1)
        }
    }

    private func gradient(of model: Model, scale: Float) -> Model.TangentVector {
        _Differentiation.gradient(at: model) { $0.energy() * scale }
    }

    @Test(arguments: [1, 3]) func `an update gives the bits of the plain pipeline on the same numbers`(
        _ threads: Int
    ) throws {
        var model = Model()
        var optimizer = try makeOptimizer(for: model)
        var tensors = TensorSet(model.numbers, layout: optimizer.pipeline.layout)
        var pipeline = try Pipeline(for: tensors, on: SIMDBackend(threads: threads, elementsPerThread: 1)) {
            Accumulate(steps: 2)
            Unscale(.static(4))
            Centralize()
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 0.1)
        }
        for step in 0..<8 {
            let gradient = gradient(of: model, scale: optimizer.lossScale * Float(step + 1))
            let expected = try pipeline.step(
                &tensors, gradients: TensorSet(numbers(gradient), layout: pipeline.layout))
            let outcome = try optimizer.update(&model, along: gradient)
            #expect(outcome.isApplied == (step % 2 == 1))
            #expect(outcome.report?.gradientNorm == expected.report?.gradientNorm)
            #expect(model.bits == tensors.bits)
        }
        #expect(model.bits != Model().bits)
        #expect(optimizer.appliedSteps == 4)
    }

    @Test func `micro-batches change nothing until their window is full or closed`() throws {
        var model = Model()
        var optimizer = try makeOptimizer(for: model)
        let start = model.bits
        #expect(try optimizer.flush(&model) == nil)
        try optimizer.update(&model, along: gradient(of: model, scale: 4))
        #expect(model.bits == start)
        let flushed = try #require(try optimizer.flush(&model))
        #expect(flushed.isApplied)
        #expect(model.bits != start)

        var other = Model()
        var another = try makeOptimizer(for: other)
        try another.update(&other, along: gradient(of: other, scale: 4), closingWindow: true)
        #expect(other.bits == model.bits)
    }

    @Test(arguments: [Float.nan, .infinity]) func `a skipped update leaves the model, and all that follows, unchanged`(
        _ wrong: Float
    ) throws {
        var (model, other) = (Model(), Model())
        var optimizer = try ModelOptimizer(for: model, parameters: Model.parameters) { AdamW() }
        var another = optimizer
        for step in 0..<4 {
            let gradient = gradient(of: model, scale: 1)
            if step == 2 {
                let before = model.bits
                var spoiled = gradient
                spoiled.rest.base[1].bias.base[2] = wrong
                let outcome = try optimizer.update(&model, along: spoiled)
                #expect(outcome.skipReason?.parameter == "rest.1.bias")
                #expect(model.bits == before)
            }
            try optimizer.update(&model, along: gradient)
            try another.update(&other, along: gradient)
            #expect(model.bits == other.bits)
        }
        #expect(optimizer.skippedSteps == 1)
    }

    @Test func `a gradient without elements stands for zeros`() throws {
        var model = Model()
        var optimizer = try ModelOptimizer(for: model, parameters: Model.parameters) {
            SGD(learningRate: 0.5, weightDecay: 0.5)
        }
        let gradient = _Differentiation.gradient(at: model) { $0.energyOfBias() }
        #expect(gradient.first.weight.base.isEmpty)
        #expect(gradient.rest.base.isEmpty)
        try optimizer.update(&model, along: gradient)
        #expect(model.first.bias == Layer().bias.map { $0 - 0.5 * (2 * $0 + 0.5 * $0) })
        #expect(model.rest[1].weight == Layer().weight.map { $0 - 0.5 * (0.5 * $0) })
        #expect(model.gain == 3 - 0.5 * (0.5 * 3))
    }

    @Test func `arrays are changed in their place, and copies of the model are not`() throws {
        var model = Model()
        var optimizer = try ModelOptimizer(for: model, parameters: Model.parameters) { SGD(learningRate: 0.1) }
        let copy = model
        try optimizer.update(&model, along: gradient(of: model, scale: 1))
        #expect(copy.bits == Model().bits)
        let places = model.places
        for _ in 0..<3 { try optimizer.update(&model, along: gradient(of: model, scale: 1)) }
        #expect(model.places == places)
    }

    @Test func `a copy of the optimizer goes its own way`() throws {
        var (model, other) = (Model(), Model())
        var optimizer = try makeOptimizer(for: model)
        try optimizer.update(&model, along: gradient(of: model, scale: 4))
        var another = optimizer
        for _ in 0..<3 { try optimizer.update(&model, along: gradient(of: model, scale: 4)) }
        try another.update(&other, along: gradient(of: other, scale: 4))
        #expect(another.appliedSteps == 1)
        #expect(optimizer.appliedSteps == 2)
    }
}

extension Model {
    /// Where the arrays lie in memory.
    fileprivate var places: [UnsafePointer<Float>?] {
        ([first] + rest).flatMap { layer in
            [layer.weight, layer.bias].map { $0.withUnsafeBufferPointer(\.baseAddress) }
        }
    }
}
