import Descent
import TestSupport
import Testing

/// Parameters without gradients that take no part in a step.
@Suite struct SkippedParameterTests {
    static let chains: [@Sendable () -> [any Stage]] = [
        { [] },
        { [Unscale(.dynamic(growthInterval: 2)), Centralize(), ClipByGlobalNorm(0.5), ClipLayerwise(default: 0.2)] },
        { [Accumulate(steps: 3, reduction: .weighted), Centralize(), ClipByGlobalNorm(0.5, norm: .l1)] },
        { [Accumulate(steps: 2), ClipByGlobalNorm(0.5), ClipByValue(0.01), ClipByNorm(0.1)] },
        { [Unscale(.static(2)), ClipByNorm(1), Accumulate(steps: 2), ClipByNorm(0.2), Normalize()] },
        { [Accumulate(steps: 2, nonFinite: .dropMicroBatch), ClipAdaptively()] },
        { [TopK(share: 0.3), ClipByGlobalNorm(1), ClipByZScore(warmup: 1)] },
        { [EvenRows(), Accumulate(steps: 2), ClipByGlobalNorm(0.5)] },
        { [Freeze(prefix: "layer2."), Unscale(.static(2)), ClipByPercentile(20)] },
    ]

    static let optimizers: [@Sendable () -> any Driving] = [
        { AdamW(learningRate: 0.01, weightDecay: 0.1).averagingParameters(decay: 0.9) },
        { SGD(learningRate: 0.1, momentum: 0.9, dampening: 0.5).lookingAhead(synchronizationPeriod: 3) },
        { LAMB(learningRate: 0.01) },
        { Adafactor(learningRate: 0.01).then { ExponentialMovingAverage(decay: 0.5) } },
        {
            AdamW(learningRate: 0.01).then {
                ClipByGlobalNorm(0.5); TrustRatio()
            }
        },
        { ScheduleFreeAdamW(learningRate: 0.01) },
        { Factored().then { ClipByGlobalNorm(0.5) } },
    ]

    let whole: ParameterLayout
    /// The same without the parameters that never have gradients.
    let present: ParameterLayout
    let absent: Set = ["layer0.bias", "layer2.weight"]

    init() throws {
        whole = try makeLayout([[20, 30], [20], [7, 3, 3], [7], [8, 40], [8], [5, 5], [0]])
        let absent = absent
        present = try ParameterLayout(whole.filter { !absent.contains($0.name) })
    }

    private func makePipeline(
        _ chain: Int, _ optimizer: Int, _ parameters: TensorSet, _ missing: MissingGradients = .skipParameter
    ) throws -> Pipeline {
        try Pipeline(
            for: parameters,
            configuration: .init(parameterCopy: .bfloat16, reporting: [.layerNorms, .updateRatio], missing: missing),
            on: SIMDBackend(threads: 2, blockLength: 64, elementsPerThread: 64), Self.chains[chain]
        ) {
            Self.optimizers[optimizer]()
        }
    }

    private static var cases: [(chain: Int, optimizer: Int)] {
        chains.indices.map { ($0, 0) } + optimizers.indices.map { (1, $0) } + optimizers.indices.map { (6, $0) }
    }

    @Test(arguments: cases, Arrival.allCases) func `others are trained as if these did not exist`(
        _ number: (chain: Int, optimizer: Int), _ arrival: Arrival
    ) throws {
        var parameters = TensorSet.random(whole, seed: 1)
        let before = parameters
        var fewer = parameters.only(present)
        var pipeline = try makePipeline(number.chain, number.optimizer, parameters)
        var reference = try makePipeline(number.chain, number.optimizer, fewer, .refuse)
        for index in 0..<12 {
            var gradients = TensorSet.random(whole, seed: UInt64(index) + 10)
            if index == 4 { gradients["layer0.weight"][77] = .infinity }
            for name in absent { gradients[name] = gradients[name].map { _ in .nan } }
            let weight = Double(index + 1)
            let first = try reference.step(&fewer, gradients: gradients.only(present), weight: weight)
            let second = try pipeline.step(&parameters, gradients, without: absent, arrival, weight: weight)
            #expect("\(first)" == "\(second)")
            #expect(parameters.only(present).bits == fewer.bits)
        }
        #expect(pipeline.appliedSteps == reference.appliedSteps)
        #expect(pipeline.appliedSteps > 0)
        for name in absent {
            #expect(parameters.bits(of: name) == before.bits(of: name))
            if let averages = pipeline.averagedParameters { #expect(averages.bits(of: name) == before.bits(of: name)) }
            let slots = try pipeline.state.components.last { !$0.slots.isEmpty }?.slots ?? []
            for slot in slots where number.optimizer == 0 && slot.shape == .parameter && slot.name.contains("moment") {
                #expect(slot.tensors[name].allSatisfy { $0 == 0 })
            }
        }
        if let averages = pipeline.averagedParameters, let expected = reference.averagedParameters {
            #expect(averages.only(present).bits == expected.bits)
        }
    }

    @Test(arguments: Arrival.allCases) func `absent in part of a window counts as zero, and in all of it leaves out`(
        _ arrival: Arrival
    ) throws {
        func pipeline(_ parameters: TensorSet, _ missing: MissingGradients) throws -> Pipeline {
            try Pipeline(for: parameters, configuration: .init(missing: missing)) {
                Accumulate(steps: 3)
                ClipByGlobalNorm(0.5)
            } driving: {
                AdamW(learningRate: 0.01, weightDecay: 0.1)
            }
        }
        var (parameters, expected) = (TensorSet.random(whole, seed: 1), TensorSet.random(whole, seed: 1))
        var (tested, reference) = (try pipeline(parameters, .skipParameter), try pipeline(expected, .refuse))
        let sets: [Set<String>] = [["layer0.bias"], ["layer0.weight", "layer0.bias"], ["layer2.bias"]]
        for (index, absent) in (sets + sets.reversed()).enumerated() {
            let gradients = TensorSet.random(whole, seed: UInt64(index) + 5)
            let first = try reference.step(&expected, gradients: gradients.zeroing(absent))
            let second = try tested.step(&parameters, gradients, without: absent, arrival)
            #expect("\(first)" == "\(second)")
        }
        #expect(tested.appliedSteps == 2)
        #expect(parameters.bits == expected.bits)

        let before = parameters
        for seed in 20..<23 as Range<UInt64> {
            _ = try tested.step(&parameters, .random(whole, seed: seed), without: ["layer1.weight"], arrival)
        }
        #expect(tested.appliedSteps == 3)
        #expect(parameters.bits(of: "layer1.weight") == before.bits(of: "layer1.weight"))
        #expect(parameters.bits(of: "layer1.bias") != before.bits(of: "layer1.bias"))

        let later = parameters
        for absent in [["layer1.weight"], []] as [Set<String>] {
            _ = try tested.step(&parameters, .random(whole, seed: 7), without: absent, arrival)
        }
        #expect(try tested.flush(&parameters)?.isApplied == true)
        #expect(parameters.bits(of: "layer1.weight") != later.bits(of: "layer1.weight"))
    }

    @Test(arguments: Arrival.allCases) func `a stage in front of the window does not see what is absent`(
        _ arrival: Arrival
    ) throws {
        var parameters = TensorSet.random(whole, seed: 1)
        var pipeline = try Pipeline(for: parameters, configuration: .init(missing: .skipParameter)) {
            EvenRows()
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        var remembered: [[UInt32]] = []
        for (index, absent) in [[], ["layer0.bias"], ["layer0.bias"], []].enumerated() {
            _ = try pipeline.step(&parameters, .random(whole, seed: UInt64(index)), without: Set(absent), arrival)
            remembered.append(pipeline.slot(named: "EvenRows.largest")?.bits(of: "layer0.bias") ?? [])
        }
        #expect(remembered[0] == remembered[1])
        #expect(remembered[0] == remembered[2])
        #expect(remembered[0] != remembered[3])
        #expect(pipeline.appliedSteps == 2)
    }

    @Test(arguments: Arrival.allCases) func `which gradients a window has is copied, saved and resumed with it`(
        _ arrival: Arrival
    ) throws {
        func make(_ parameters: TensorSet, _ state: PipelineState<TensorSet>?) throws -> Pipeline {
            let configuration = PipelineConfiguration(missing: .skipParameter)
            let stages = { [Accumulate(steps: 2)] as [any Stage] }
            if let state {
                return try Pipeline(resuming: state, for: parameters, configuration: configuration, stages) { AdamW() }
            }
            return try Pipeline(for: parameters, configuration: configuration, stages) { AdamW() }
        }
        var parameters = TensorSet.random(whole, seed: 1)
        var pipeline = try make(parameters, nil)
        for index in 0..<7 as Range<UInt64> {
            let absent: Set = index % 4 < 2 ? ["layer0.bias"] : ["layer1.bias", "layer2.weight"]
            _ = try pipeline.step(&parameters, .random(whole, seed: index), without: absent, arrival)
            var (copy, resumed) = (pipeline, try make(parameters, pipeline.state))
            var (copied, restored) = (parameters, parameters)
            for seed in 30..<33 as Range<UInt64> {
                let absent: Set = seed == 30 ? ["layer0.bias", "layer2.weight"] : ["layer0.bias"]
                let gradients = TensorSet.random(whole, seed: seed)
                let first = try copy.step(&copied, gradients, without: absent, arrival)
                let second = try resumed.step(&restored, gradients, without: absent, arrival)
                #expect("\(first)" == "\(second)")
            }
            #expect(copied.bits == restored.bits)
            #expect(copied.bits != parameters.bits)
        }
    }

    @Test func `what is not finite is found in gradients that are there, and nowhere else`() throws {
        var parameters = TensorSet.random(whole, seed: 1)
        parameters["layer2.weight"][3] = .nan
        var pipeline = try Pipeline(for: parameters, configuration: .init(missing: .skipParameter)) {
            Centralize()
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
        var gradients = TensorSet.random(whole, seed: 2)
        gradients["layer0.bias"][1] = .nan
        let skipped = try pipeline.step(&parameters, gradients, without: ["layer2.weight"], .inExternalMemory)
        guard case .skipped(let reason) = skipped else {
            Issue.record("\(skipped)")
            return
        }
        #expect(reason.parameter == "layer0.bias")
        #expect(pipeline.appliedSteps == 0)
        for arrival in Arrival.allCases {
            #expect(
                try pipeline.step(&parameters, gradients, without: ["layer0.bias", "layer2.weight"], arrival).isApplied)
        }
        // It was not finite before its first update, which is not to blame for that.
        gradients["layer0.bias"][1] = 1
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
    }

    @Test(arguments: Arrival.allCases) func `the norm that is reported is that of the gradients that are there`(
        _ arrival: Arrival
    ) throws {
        var parameters = TensorSet.random(whole, seed: 1)
        var pipeline = try Pipeline(
            for: parameters, configuration: .init(reporting: .layerNorms, missing: .skipParameter)
        ) {
            Unscale(.static(8))
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
        var gradients = TensorSet(zeros: whole)
        gradients["layer0.bias"][0] = 8
        gradients["layer1.bias"][0] = 24
        gradients["layer2.bias"][0] = 32
        let layer: Set = ["layer0.weight", "layer0.bias"]
        let outcome = try pipeline.step(&parameters, gradients, without: layer, arrival)
        #expect(outcome.report?.gradientNorm == 5)
        #expect(outcome.report?.layerNorms.map(\.layer) == ["layer1", "layer2", "layer3"])
        let next = try pipeline.step(&parameters, gradients, without: ["layer2.bias"], arrival)
        #expect(next.report?.gradientNorm.map { abs($0 - 10.0.squareRoot()) < 1e-6 } == true)
    }

    @Test(arguments: [0, 1, 3, 4]) func `a chain alone transforms the others as if these did not exist`(
        _ number: Int
    ) throws {
        func chain(_ layout: ParameterLayout, _ missing: MissingGradients) throws -> Chain {
            try Chain(
                for: layout, configuration: .init(missing: missing), on: SIMDBackend(threads: 1, blockLength: 64),
                Self.chains[number])
        }
        var (tested, reference) = (try chain(whole, .skipParameter), try chain(present, .refuse))
        for seed in 1..<7 as Range<UInt64> {
            var gradients = TensorSet.random(whole, seed: seed)
            var fewer = gradients.only(present)
            let before = gradients
            let first = try reference.transform(&fewer)
            let second = try tested.transform(&gradients, without: absent)
            #expect("\(first)" == "\(second)")
            #expect(gradients.only(present).bits == fewer.bits)
            for name in absent { #expect(gradients.bits(of: name) == before.bits(of: name)) }
        }
        #expect(tested.appliedSteps > 0)
    }

    @Test func `several optimizers go on, one of them with nothing to do`() throws {
        var parameters = TensorSet.random(whole, seed: 1)
        let vectors = Set(whole.filter { $0.rank < 2 }.map(\.name))
        var pipeline = try Pipeline(for: parameters, configuration: .init(missing: .skipParameter)) {
            ClipByGlobalNorm(1)
        } driving: {
            SGD(learningRate: 0.1, momentum: 0.9).only(where: { $0.rank > 1 })
            AdamW(learningRate: 0.01).averagingParameters(decay: 0.9)
        }
        let before = parameters
        for seed in 1..<4 as Range<UInt64> {
            #expect(
                try pipeline.step(&parameters, .random(whole, seed: seed), without: vectors, .oneByOne).isApplied)
        }
        for parameter in whole where parameter.count > 0 {
            let isSame = parameters.bits(of: parameter.name) == before.bits(of: parameter.name)
            #expect(isSame == vectors.contains(parameter.name))
        }
        #expect(try pipeline.step(&parameters, gradients: .random(whole, seed: 9)).isApplied)
    }
}
