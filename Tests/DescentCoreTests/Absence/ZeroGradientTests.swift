import Descent
import TestSupport
import Testing

/// Gradients that are absent and count as zeros.
@Suite struct ZeroGradientTests {
    static let chains: [@Sendable () -> [any Stage]] = [
        { [] },
        { [Unscale(.dynamic(growthInterval: 2)), Centralize(), ClipByGlobalNorm(0.5), ClipLayerwise(default: 0.2)] },
        { [Accumulate(steps: 3, reduction: .weighted), Centralize(), ClipByGlobalNorm(0.5, norm: .l1)] },
        { [Accumulate(steps: 2), ClipByGlobalNorm(0.5), ClipByValue(0.01), ClipByNorm(0.1)] },
        { [Unscale(.static(2)), ClipByNorm(1), Accumulate(steps: 2), AddNoise(eta: 0.01, seed: 1), ClipByNorm(0.2)] },
        { [Accumulate(steps: 2, nonFinite: .dropMicroBatch), ClipAdaptively()] },
        { [TopK(share: 0.3), ClipByNorm(1)] },
        { [EvenRows(), Accumulate(steps: 2), ClipByGlobalNorm(0.5)] },
    ]

    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[20, 30], [20], [7, 3, 3], [7], [0], []]) }

    private func makePipeline(_ chain: Int, _ parameters: TensorSet, _ missing: MissingGradients) throws -> Pipeline {
        try Pipeline(
            for: parameters, configuration: .init(reporting: .layerNorms, missing: missing),
            on: SIMDBackend(threads: 2, blockLength: 64, elementsPerThread: 64), Self.chains[chain]
        ) {
            AdamW(learningRate: 0.01, weightDecay: 0.1).averagingParameters(decay: 0.9)
        }
    }

    @Test(arguments: chains.indices, Arrival.allCases) func `gives the bits of handing over zeros`(
        _ chain: Int, _ arrival: Arrival
    ) throws {
        var (whole, partial) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        var (reference, pipeline) = (
            try makePipeline(chain, whole, .refuse), try makePipeline(chain, partial, .zero)
        )
        var generator = SeededGenerator(seed: UInt64(chain))
        for index in 0..<12 {
            let names = layout.map(\.name)
            let absent = Set(names.dropLast().filter { _ in Bool.random(using: &generator) })
            var gradients = TensorSet.random(layout, seed: UInt64(index) + 10)
            // What is not handed over may hold anything.
            if index == 4 { gradients[absent.contains(names[0]) ? names[5] : names[0]][0] = .infinity }
            let zeroed = gradients.zeroing(absent)
            for name in absent { gradients[name] = gradients[name].map { _ in .nan } }
            let first = try reference.step(&whole, gradients: zeroed, weight: Double(index + 1))
            let second = try pipeline.step(&partial, gradients, without: absent, arrival, weight: Double(index + 1))
            #expect("\(first)" == "\(second)")
            #expect(whole.bits == partial.bits)
            if index == 7 { pipeline = try copied(pipeline, partial, chain) }
        }
        #expect(pipeline.appliedSteps == reference.appliedSteps)
        #expect(pipeline.appliedSteps > 0)
        #expect(pipeline.averagedParameters?.bits == reference.averagedParameters?.bits)
    }

    /// A pipeline that goes on from the state of another.
    private func copied(_ pipeline: Pipeline, _ parameters: TensorSet, _ chain: Int) throws -> Pipeline {
        try Pipeline(
            resuming: pipeline.state, for: parameters, configuration: pipeline.configuration,
            on: SIMDBackend(threads: 2, blockLength: 64, elementsPerThread: 64), Self.chains[chain]
        ) {
            AdamW(learningRate: 0.01, weightDecay: 0.1).averagingParameters(decay: 0.9)
        }
    }

    @Test func `in a chain alone the others are transformed, and nothing is written where there is no memory`() throws {
        var (whole, partial) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 1))
        func chain(_ missing: MissingGradients) throws -> Chain {
            try Chain(for: layout, configuration: .init(missing: missing)) {
                Accumulate(steps: 2)
                ClipByGlobalNorm(0.1)
                ClipByValue(0.001)
            }
        }
        var (reference, tested) = (try chain(.refuse), try chain(.zero))
        let absent: Set = ["layer0.bias", "layer1.weight"]
        whole = whole.zeroing(absent)
        let before = partial
        _ = try reference.transform(&whole)
        _ = try tested.transform(&partial, without: absent)
        #expect(partial.bits == before.bits)
        _ = try reference.transform(&whole)
        #expect(try tested.transform(&partial, without: absent).isApplied)
        for parameter in layout {
            let expected = absent.contains(parameter.name) ? before : whole
            #expect(partial.bits(of: parameter.name) == expected.bits(of: parameter.name))
        }
    }

    @Test(arguments: [MissingGradients.zero, .skipParameter]) func `what a window holds is not lost for want of memory`(
        _ missing: MissingGradients
    ) throws {
        var gradients = TensorSet.random(layout, seed: 1)
        var chain = try Chain(for: layout, configuration: .init(missing: missing)) { Accumulate(steps: 2) }
        _ = try chain.transform(&gradients, without: ["layer0.bias"])
        let bits = gradients.bits
        let error = #expect(throws: DescentError.self) {
            try chain.transform(&gradients, without: ["layer0.bias", "layer1.weight"])
        }
        #expect(error?.code == .missingParameter)
        #expect(error?.parameter == "layer1.weight")
        #expect(gradients.bits == bits)
        #expect(chain.window?.received == 1)
        #expect(try chain.transform(&gradients, without: ["layer0.bias"]).isApplied)
    }
}
