import Descent
import DescentCore
import TestSupport
import Testing

/// Gradients that arrive one by one, as a backward pass makes them.
@Suite struct ReceptionTests {
    static let chains: [@Sendable () -> [any Stage]] = [
        { [] },
        { [Unscale(.dynamic(growthInterval: 2)), Centralize(), ClipByGlobalNorm(0.5), ClipLayerwise(default: 0.2)] },
        { [Accumulate(steps: 3, reduction: .weighted), Centralize(), ClipByGlobalNorm(0.5, norm: .l1)] },
        { [Accumulate(steps: 1, reduction: .weighted), ClipByGlobalNorm(0.5)] },
        { [Accumulate(steps: 2), ClipByGlobalNorm(0.5), ClipByValue(0.01), ClipByNorm(0.1)] },
        { [Unscale(.static(2)), ClipByNorm(1), Accumulate(steps: 2), ClipByNorm(0.2)] },
        { [Accumulate(steps: 2, nonFinite: .dropMicroBatch), ClipAdaptively()] },
    ]

    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[20, 30], [20], [7, 3, 3], [7], [0], []]) }

    private func makePipeline(_ chain: Int, _ parameters: TensorSet) throws -> Pipeline {
        try Pipeline(
            for: parameters, on: SIMDBackend(threads: 2, blockLength: 64, elementsPerThread: 64), Self.chains[chain]
        ) {
            AdamW(learningRate: 0.01)
        }
    }

    /// Hands over gradients one by one, in an order of its own for each micro-batch.
    private func step(
        _ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ gradients: TensorSet, weight: Double,
        _ generator: inout SeededGenerator
    ) throws -> StepOutcome {
        for parameter in layout.filter({ $0.count > 0 }).shuffled(using: &generator) {
            try gradients.withElements(of: parameter.name) {
                try pipeline.receive($0, for: parameter.name, weight: weight)
            }
        }
        return try pipeline.step(&parameters)
    }

    @Test(arguments: chains.indices) func `gives the bits of handing over all at once, in any order of arrival`(
        _ chain: Int
    ) throws {
        var (whole, streamed) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        var (batch, stream) = (try makePipeline(chain, whole), try makePipeline(chain, whole))
        var generator = SeededGenerator(seed: 3)
        for index in 0..<9 {
            var gradients = TensorSet.random(layout, seed: UInt64(index) + 10)
            if index == 4 { gradients["layer0.weight"][77] = .infinity }
            let first = try batch.step(&whole, gradients: gradients, weight: Double(index + 1))
            let second = try step(&stream, &streamed, gradients, weight: Double(index + 1), &generator)
            #expect("\(first)" == "\(second)")
            #expect(whole.bits == streamed.bits)
        }
        #expect(stream.appliedSteps == batch.appliedSteps)
        #expect(stream.appliedSteps > 0)
    }

    @Test func `only the last sweep is left for the step`() throws {
        let backend = PlainBackend()
        var parameters = PlainTensors(.random(layout, seed: 1))
        let gradients = PlainTensors(.random(layout, seed: 2))
        for (stages, sweeps) in [
            ([Unscale(.static(4)), Centralize(), ClipByGlobalNorm(1)], 1), ([Accumulate(steps: 1), ClipByNorm(1)], 1),
        ] as [([any Stage], Int)] {
            var pipeline = try GradientPipeline(for: parameters, on: backend) {
                stages
            } driving: {
                AdamW()
            }
            for index in layout.indices where layout[index].count > 0 { try pipeline.receive(gradients, of: index) }
            _ = backend.log.take()
            #expect(try pipeline.step(&parameters).isApplied)
            #expect(backend.log.take().sweeps == sweeps)
        }
    }

    @Test func `a gradient that is missing, twice, unknown or of another weight is refused by name`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        let before = parameters.bits
        var pipeline = try makePipeline(1, parameters)
        func refusal(_ body: () throws -> Void) -> DescentError? {
            #expect(throws: DescentError.self) { try body() }
        }
        let values = [Float](repeating: 1, count: 20)
        let seven = [Float](repeating: 1, count: 7)
        let (many, some, one) = ([Float](repeating: 1, count: 600), [Float](repeating: 1, count: 63), [Float(1)])
        #expect(refusal { _ = try pipeline.step(&parameters) }?.parameter == "layer0.weight")
        try pipeline.receive(values.span, for: "layer0.bias")
        #expect(refusal { try pipeline.receive(values.span, for: "layer0.bias") }?.code == .duplicateParameter)
        #expect(refusal { try pipeline.receive(values.span, for: "layer0.gain") }?.code == .unexpectedParameter)
        #expect(refusal { try pipeline.receive(values.span, for: "layer1.bias") }?.code == .shapeMismatch)
        #expect(
            refusal { try pipeline.receive(seven.span, for: "layer1.bias", weight: 2) }?.code == .invalidWeight)
        #expect(refusal { _ = try pipeline.step(&parameters) }?.parameter == "layer0.weight")
        let gradients = parameters
        #expect(refusal { _ = try pipeline.step(&parameters, gradients: gradients) }?.code == .missingParameter)
        #expect(parameters.bits == before)
        try pipeline.receive(many.span, for: "layer0.weight")
        try pipeline.receive(some.span, for: "layer1.weight")
        try pipeline.receive(seven.span, for: "layer1.bias")
        try pipeline.receive(one.span, for: "layer2.bias")
        #expect(try pipeline.step(&parameters).isApplied)
    }

    @Test func `a window can be closed early`() throws {
        var (whole, streamed) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        var (batch, stream) = (try makePipeline(2, whole), try makePipeline(2, whole))
        let gradients = TensorSet.random(layout, seed: 5)
        for index in layout.indices where layout[index].count > 0 { try stream.receive(gradients, of: index) }
        #expect(try stream.step(&streamed, closingWindow: true).isApplied)
        #expect(try batch.step(&whole, gradients: gradients, closingWindow: true).isApplied)
        for (streamed, whole) in zip(streamed.arrays.joined(), whole.arrays.joined()) {
            #expect(abs(streamed - whole) < 1e-6)
        }
    }
}
