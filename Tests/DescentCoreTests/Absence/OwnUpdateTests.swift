import Descent
import TestSupport
import Testing

/// Each parameter's own updates, which bias corrections count.
@Suite struct OwnUpdateTests {
    static let optimizers: [@Sendable () -> any Driving] = [
        { Adam(learningRate: 0.01, weightDecay: 0.1, amsgrad: true) },
        { AdamW(learningRate: 0.01, groups: [.vectorsWithoutDecay, .rank(2...4).setting(beta1: 0.5)]) },
        { SGD(learningRate: 0.1, momentum: 0.9, dampening: 0.5) },
        { NAdam(learningRate: 0.01) }, { RAdam(learningRate: 0.01) }, { Adamax(learningRate: 0.01) },
        { AdaBelief(learningRate: 0.01) }, { Yogi(learningRate: 0.01, initialAccumulator: 0.1) },
        { Adagrad(learningRate: 0.1, learningRateDecay: 0.5, initialAccumulator: 0.1) },
        { AdEMAMix(learningRate: 0.01, warmup: 0) }, { NovoGrad(learningRate: 0.01) }, { LAMB(learningRate: 0.01) },
        { Lion(learningRate: 0.01) }, { RMSProp(learningRate: 0.01, momentum: 0.9) }, { Adadelta() },
        { LARS(learningRate: 0.1) }, { Adafactor(learningRate: 0.01) }, { ScheduleFreeAdamW(learningRate: 0.01) },
        {
            AdamW(learningRate: 0.01).then {
                ClipByNorm(0.5); TrustRatio()
            }
        },
    ]

    /// A pipeline and what it trains.
    private struct Training {
        var parameters: TensorSet
        var pipeline: Pipeline

        mutating func step(_ gradients: TensorSet) throws -> StepOutcome {
            try pipeline.step(&parameters, gradients: gradients)
        }
    }

    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[20, 30], [20], [7, 3, 3], [7]]) }

    private func makePipeline(
        _ optimizer: Int, _ parameters: TensorSet, _ missing: MissingGradients,
        resuming state: PipelineState<TensorSet>? = nil
    ) throws -> Pipeline {
        let stages = { [Centralize(), ClipByNorm(1)] as [any Stage] }
        let backend = SIMDBackend(threads: 1, blockLength: 64)
        guard let state else {
            return try Pipeline(
                for: parameters, configuration: .init(missing: missing), on: backend, stages
            ) {
                Self.optimizers[optimizer]()
            }
        }
        return try Pipeline(
            resuming: state, for: parameters, configuration: .init(missing: missing), on: backend, stages
        ) {
            Self.optimizers[optimizer]()
        }
    }

    @Test(arguments: optimizers.indices, Arrival.allCases) func `a parameter is trained as if it were alone`(
        _ optimizer: Int, _ arrival: Arrival
    ) throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try makePipeline(optimizer, parameters, .skipParameter)
        var alone = try layout.map { parameter in
            let own = parameters.only(try ParameterLayout([parameter]))
            return Training(parameters: own, pipeline: try makePipeline(optimizer, own, .refuse))
        }
        // In step 4 a gradient is not finite, and nothing of that is a step for anybody.
        let absent: [Set<Int>] = [[1, 2], [2], [0], [], [3], [1, 2, 3], [0, 1], [], [2], []]
        for (index, absent) in absent.enumerated() {
            var gradients = TensorSet.random(layout, seed: UInt64(index) + 10)
            if index == 4 { gradients["layer0.weight"][77] = .infinity }
            let names = Set(absent.map { layout[$0].name })
            let outcome = try pipeline.step(&parameters, gradients, without: names, arrival)
            #expect(outcome.isApplied == (index != 4))
            for (position, parameter) in layout.enumerated() where !absent.contains(position) && index != 4 {
                let own = gradients.only(alone[position].pipeline.layout)
                _ = try alone[position].step(own)
                #expect(
                    parameters.bits(of: parameter.name) == alone[position].parameters.bits,
                    "\(parameter.name) in step \(index)")
            }
            if index == 6 {
                pipeline = try makePipeline(optimizer, parameters, .skipParameter, resuming: pipeline.state)
            }
        }
        #expect(try pipeline.state.counters.missedSteps == [2, 3, 4, 1])
    }

    @Test func `a setting that changes while training keeps the counts`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var (first, second) = (
            try makePipeline(1, parameters, .skipParameter), try makePipeline(1, parameters, .skipParameter)
        )
        var copy = parameters
        for index in 0..<6 as Range<UInt64> {
            if index == 3 { try first.change(AdamW.self) { $0.epsilon = 1e-8 } }
            let absent: Set = index < 3 ? ["layer0.bias"] : []
            _ = try first.step(&parameters, .random(layout, seed: index), without: absent, .oneByOne)
            _ = try second.step(&copy, .random(layout, seed: index), without: absent, .oneByOne)
        }
        #expect(parameters.bits == copy.bits)
    }

    @Test func `settings that follow schedules follow the steps of the pipeline`() throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var other = parameters
        func pipeline(_ beta1: Schedule) throws -> Pipeline {
            try Pipeline(for: parameters, configuration: .init(missing: .skipParameter)) {
                []
            } driving: {
                AdamW(learningRate: 0.01, beta1: beta1)
            }
        }
        // From the fourth step on it is 0.5, which the latecomer has in its first.
        var (changing, constant) = (try pipeline(.custom("falling") { $0 < 3 ? 0.9 : 0.5 }), try pipeline(0.5))
        for index in 0..<6 as Range<UInt64> {
            let absent: Set = index < 3 ? ["layer0.bias"] : []
            _ = try changing.step(&parameters, .random(layout, seed: index), without: absent, .inExternalMemory)
            _ = try constant.step(&other, .random(layout, seed: index), without: absent, .inExternalMemory)
        }
        #expect(parameters.bits(of: "layer0.bias") == other.bits(of: "layer0.bias"))
        #expect(parameters.bits(of: "layer0.weight") != other.bits(of: "layer0.weight"))
    }

    @Test(arguments: [[0], [1, 2, 3, 4, 5], [9, 0, 0, 0], [0, -1, 0, 0]]) func `counts that cannot be are refused`(
        _ missed: [Int]
    ) throws {
        let parameters = TensorSet.random(layout, seed: 1)
        let state = try makePipeline(0, parameters, .skipParameter).state
        let changed = PipelineState(
            counters: StepCounters(appliedSteps: 5, missedSteps: missed), layout: layout, components: state.components)
        let error = #expect(throws: DescentError.self) {
            try makePipeline(0, parameters, .skipParameter, resuming: changed)
        }
        #expect(error?.code == .stateMismatch)
    }
}
