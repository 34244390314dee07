import Descent
import TestSupport
import Testing

/// Updates against the gradient are left out, and the others made longer.
@Suite struct CautiousTests {
    private let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("dense", shape: [9, 7]),
            ParameterDescription("kernel", shape: [3, 3, 21], outputAxis: .last),
            ParameterDescription("empty", shape: [0, 4]), ParameterDescription("bias", shape: [37]),
            ParameterDescription("gain", shape: []),
        ])
    }

    /// Momentum, the mask and the move, element by element.
    private struct Model {
        var parameters: [[Float]]
        var velocities: [[Float]]
        var shares: [Double] = []
        /// For each parameter, whether its updates are masked; nil if it is not moved.
        let isMasked: [Bool?]

        init(_ start: TensorSet, isMasked: (String) -> Bool? = { _ in true }) {
            parameters = start.arrays
            velocities = parameters.map { $0.map { _ in 0 } }
            self.isMasked = start.layout.map { isMasked($0.name) }
        }

        mutating func step(_ gradients: TensorSet) {
            shares = []
            for (index, gradient) in gradients.arrays.enumerated() {
                guard let isMasked = isMasked[index] else { continue }
                var factor: Float = 1
                for place in gradient.indices {
                    velocities[index][place] = 0.9 * velocities[index][place] + gradient[place]
                }
                let agrees = zip(velocities[index], gradient).map { Double($0) * Double($1) > 0 }
                if isMasked, !gradient.isEmpty {
                    let agreeing = Double(agrees.count { $0 })
                    factor = Float(Double(gradient.count) / (agreeing + 1))
                    shares.append(agreeing / Double(gradient.count))
                }
                for place in gradient.indices where agrees[place] || !isMasked {
                    parameters[index][place] -= 0.1 * (velocities[index][place] * factor)
                }
            }
        }
    }

    private func makePipeline(_ parameters: TensorSet, threads: Int = 2, _ stages: [any Stage] = []) throws -> Pipeline
    {
        try Pipeline(for: parameters, on: SIMDBackend(threads: threads, blockLength: 16, elementsPerThread: 16)) {
            stages
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.9).then { Cautious() }
        }
    }

    @Test(arguments: [1, 2]) func `gives what a plain loop gives, and records the share that agrees`(
        _ threads: Int
    ) throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var model = Model(parameters)
        var pipeline = try makePipeline(parameters, threads: threads)
        for seed in 2..<8 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed).pruned(seed: seed)
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            model.step(gradients)
            #expect(parameters.arrays == model.parameters)
            let values = try #require(outcome.report?.values)
            #expect(values.map(\.parameter) == ["dense", "kernel", "bias", "gain"])
            #expect(values.map(\.value) == model.shares)
            #expect(values.allSatisfy { $0.stage == "Cautious" && $0.name == "share that agrees" })
        }
        #expect(model.shares.contains { $0 < 1 })
    }

    /// The gradient is then read where it lies, times a factor, or kept as stages have made it.
    @Test(
        arguments: [
            [Scale(by: 0.3)], [ClipByValue(0.7)], [ClipByValue(0.7), Scale(by: 0.3)],
            [Scale(by: 1e-30), Scale(by: 1e-9)],
        ] as [[any Stage]]) func `behind stages, the plain backend gives the same bits`(_ stages: [any Stage]) throws
    {
        var parameters = TensorSet.random(layout, seed: 1)
        var plain = PlainTensors(parameters)
        var pipeline = try makePipeline(parameters, stages)
        var other = try GradientPipeline(for: plain, on: PlainBackend()) {
            stages
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.9).then { Cautious() }
        }
        for seed in 2..<5 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed).pruned(seed: seed)
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            let expected = try other.step(&plain, gradients: PlainTensors(gradients))
            #expect(outcome.report?.values == expected.report?.values)
            #expect(parameters.arrays == plain.values)
        }
    }

    @Test func `the plain backend gives the same bits`() throws {
        let start = TensorSet.random(layout, seed: 1)
        var (parameters, model) = (PlainTensors(start), Model(start))
        var pipeline = try GradientPipeline(for: parameters, on: PlainBackend()) {
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.9).then { Cautious() }
        }
        for seed in 2..<6 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed)
            #expect(try pipeline.step(&parameters, gradients: PlainTensors(gradients)).isApplied)
            model.step(gradients)
        }
        #expect(parameters.values == model.parameters)
    }

    @Test func `a frozen parameter stays, and one of another optimizer is not masked`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var model = Model(parameters) { $0 == "dense" ? nil : $0 == "kernel" ? false : true }
        var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 2, blockLength: 16)) {
            Freeze(prefix: "dense")
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.9).only(prefix: "kernel")
            SGD(learningRate: 0.1, momentum: 0.9).then { Cautious() }
        }
        for seed in 2..<6 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed)
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            model.step(gradients)
            #expect(outcome.report?.values.map(\.parameter) == ["bias", "gain"])
            #expect(outcome.report?.values.map(\.value) == model.shares)
        }
        #expect(parameters.arrays == model.parameters)
    }

    @Test func `a restriction leaves the updates of other parameters as they are`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var model = Model(parameters) { $0 == "bias" }
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.9).then { Cautious().only(prefix: "bias") }
        }
        for seed in 2..<6 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed)
            let outcome = try pipeline.step(&parameters, gradients: gradients)
            model.step(gradients)
            #expect(outcome.report?.values.map(\.value) == model.shares)
        }
        #expect(parameters.arrays == model.parameters)
    }

    @Test(arguments: [false, true])
    func `gradients that arrive one by one, over a window or not, give the bits of all at once`(
        _ accumulates: Bool
    ) throws {
        var (whole, streamed) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        let stages: [any Stage] = accumulates ? [Accumulate(steps: 2), ClipByGlobalNorm(1)] : [Unscale(.static(2))]
        var (batch, stream) = (try makePipeline(whole, stages), try makePipeline(streamed, stages))
        for seed in 2..<8 as Range<UInt64> {
            let gradients = TensorSet.random(layout, seed: seed)
            let first = try batch.step(&whole, gradients: gradients)
            for index in layout.indices.reversed() where layout[index].count > 0 {
                try stream.receive(gradients, of: index)
            }
            #expect(try "\(stream.step(&streamed))" == "\(first)")
            #expect(streamed.bits == whole.bits)
        }
        #expect(batch.appliedSteps == (accumulates ? 3 : 6))
    }

    @Test(arguments: [ElementType.float16, .bfloat16]) func `gradients in 16 bits count as the numbers that they are`(
        _ elementType: ElementType
    ) throws {
        var (narrow, wide) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        var (first, second) = (try makePipeline(narrow), try makePipeline(wide))
        for seed in 2..<6 as Range<UInt64> {
            var gradients = (narrow: TensorSet(zeros: layout, elementType), wide: TensorSet.random(layout, seed: seed))
            for name in layout.map(\.name) {
                gradients.narrow[name] = gradients.wide[name]
                gradients.wide[name] = gradients.narrow[name]
            }
            #expect(try first.step(&narrow, gradients: gradients.narrow).isApplied)
            #expect(try second.step(&wide, gradients: gradients.wide).isApplied)
        }
        #expect(narrow.bits == wide.bits)
    }

    @Test func `it is refused in front of an optimizer, with the place where it belongs`() throws {
        let error = #expect(throws: DescentError.self) {
            try Pipeline(for: TensorSet(zeros: layout)) {
                Cautious()
            } driving: {
                SGD(learningRate: 0.1)
            }
        }
        #expect(error?.code == .stageOrder)
        #expect(error?.message.contains("`AdamW().then { Cautious() }`") == true)
    }

    @Test func `products that Float cannot hold count, and NaN in an update stays`() throws {
        let layout = try ParameterLayout([ParameterDescription("a", shape: [4])])
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters, configuration: .init(nonFinite: .propagate)) {
        } driving: {
            SGD(learningRate: 1).then { Cautious() }
        }
        let gradients = try TensorSet(["a": [1e-30, -1e-30, 0, .nan]], layout: layout)
        _ = try pipeline.step(&parameters, gradients: gradients)
        let factor = Float(4.0 / 3)
        #expect(Array(parameters["a"].prefix(3)) == [-1e-30 * factor, 1e-30 * factor, 0])
        #expect(parameters["a"][3].isNaN)
    }
}
