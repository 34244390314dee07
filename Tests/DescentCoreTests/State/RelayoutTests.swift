import Descent
import Synchronization
import TestSupport
import Testing

/// Pipelines that go on with other parameters, and with others frozen.
@Suite struct RelayoutTests {
    static let optimizers: [@Sendable () -> any Driving] = [
        { AdamW(learningRate: 0.01, weightDecay: 0.1).averagingParameters(decay: 0.9) },
        { SGD(learningRate: 0.1, momentum: 0.9, dampening: 0.5) },
        { Adagrad(learningRate: 0.1, learningRateDecay: 0.5, initialAccumulator: 0.1) },
        { NovoGrad(learningRate: 0.01) }, { ScheduleFreeAdamW(learningRate: 0.01) }, { Adafactor(learningRate: 0.01) },
        { LAMB(learningRate: 0.01) },
    ]

    /// A pipeline and what it trains.
    private struct Training {
        var parameters: TensorSet
        var pipeline: Pipeline

        @discardableResult mutating func step(_ gradients: TensorSet) throws -> StepOutcome {
            try pipeline.step(&parameters, gradients: gradients)
        }
    }

    let whole: ParameterLayout

    init() throws { whole = try makeLayout([[20, 30], [20], [7, 3, 3], [7], [8, 40], [8]]) }

    private func layout(_ names: [String]) throws -> ParameterLayout {
        try ParameterLayout(names.compactMap { name in whole.first { $0.name == name } })
    }

    private func makePipeline(_ optimizer: Int, _ parameters: TensorSet) throws -> Pipeline {
        try Pipeline(
            for: parameters, configuration: .init(parameterCopy: .bfloat16),
            on: SIMDBackend(threads: 1, blockLength: 64)
        ) {
            Centralize()
            ClipByNorm(1)
        } driving: {
            Self.optimizers[optimizer]()
        }
    }

    @Test(arguments: optimizers.indices) func `each parameter is trained as if it were alone`(_ optimizer: Int) throws {
        // Added, taken away, put in another order; and one that comes back, of which nothing is known any more.
        let sets = [
            ["layer0.weight", "layer0.bias", "layer1.weight"],
            ["layer1.weight", "layer0.weight", "layer1.bias", "layer2.weight", "layer0.bias"],
            ["layer2.bias", "layer1.bias", "layer0.weight"],
            ["layer0.weight", "layer1.bias", "layer1.weight", "layer2.bias"],
        ]
        let start = TensorSet.random(whole, seed: 1)
        var values = start
        var training = Training(
            parameters: start.only(try layout(sets[0])),
            pipeline: try makePipeline(optimizer, start.only(try layout(sets[0]))))
        var alone: [String: Training] = [:]
        for (number, names) in sets.enumerated() {
            let present = try layout(names)
            if number > 0 {
                training.parameters = values.only(present)
                try training.pipeline.relayout(for: training.parameters)
                #expect(training.pipeline.layout == present)
                #expect(training.pipeline.parameterCopy?.layout == present)
                for name in names where alone[name] == nil {
                    #expect(
                        training.pipeline.averagedParameters.map { $0.bits(of: name) == values.bits(of: name) } ?? true)
                }
            }
            alone = try Dictionary(
                uniqueKeysWithValues: names.map { name in
                    let own = values.only(try layout([name]))
                    return (name, try alone[name] ?? Training(parameters: own, pipeline: makePipeline(optimizer, own)))
                })
            for seed in 0..<3 {
                let gradients = TensorSet.random(whole, seed: UInt64(10 * number + seed))
                try training.step(gradients.only(present))
                for name in names {
                    try alone[name]?.step(gradients.only(try layout([name])))
                    let isSame = training.parameters.bits(of: name) == alone[name]?.parameters.bits(of: name)
                    #expect(isSame, "\(name) in set \(number), step \(seed)")
                    values[name] = training.parameters[name]
                }
            }
            #expect(training.pipeline.appliedSteps == 3 * (number + 1))
        }
    }

    @Test func `observers, schedules and what stages remember go on`() throws {
        let told = ToldSteps()
        let start = TensorSet.random(whole, seed: 1)
        var parameters = start.only(try layout(["layer0.weight", "layer0.bias"]))
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(growthInterval: 2))
            ClipByPercentile(50)
        } driving: {
            SGD(learningRate: .linear(initial: 1, transitionSteps: 10)).lookingAhead(synchronizationPeriod: 2)
        }
        pipeline.observe { told.note($0.appliedSteps) }
        for seed in 0..<3 as Range<UInt64> {
            _ = try pipeline.step(&parameters, gradients: .random(parameters.layout, seed: seed))
        }
        let (scale, history) = (pipeline.lossScale, "\(try pipeline.state.components[1].state)")
        var copy = pipeline
        parameters = start
        try pipeline.relayout(for: parameters)
        #expect(pipeline.lossScale == scale)
        #expect("\(try pipeline.state.components[1].state)" == history)
        let before = parameters
        // The slow parameters of those that are new have started where they were.
        _ = try pipeline.step(&parameters, gradients: TensorSet(zeros: whole))
        #expect(parameters.bits(of: "layer2.weight") == before.bits(of: "layer2.weight"))
        #expect(told.steps == [1, 2, 3, 4])
        // A copy made before goes its own way.
        var old = start.only(copy.layout)
        #expect(try copy.step(&old, gradients: .random(copy.layout, seed: 9)).isApplied)
    }

    @Test func `what is not allowed changes nothing`() throws {
        let start = TensorSet.random(whole, seed: 1)
        let names = ["layer0.weight", "layer0.bias"]
        var parameters = start.only(try layout(names))
        var pipeline = try Pipeline(for: parameters) {
            Freeze(prefix: "layer0.bias")
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        func refusal(_ body: () throws -> Void) -> DescentError.Code? {
            #expect(throws: DescentError.self) { try body() }?.code
        }
        #expect(refusal { try pipeline.relayout(for: start.only(layout(["layer0.weight"]))) } == .invalidSetting)
        #expect(refusal { try pipeline.relayout(for: TensorSet(zeros: whole, .bfloat16)) } == .elementTypeMismatch)
        try pipeline.receive(parameters, of: 0)
        #expect(refusal { try pipeline.relayout(for: start) } == .incompleteMicroBatch)
        pipeline.discardReceived()
        _ = try pipeline.step(&parameters, gradients: .random(parameters.layout, seed: 2))
        #expect(refusal { try pipeline.relayout(for: start) } == .openWindow)
        #expect(pipeline.layout == parameters.layout)
        #expect(try pipeline.step(&parameters, gradients: .random(parameters.layout, seed: 3)).isApplied)
        try pipeline.relayout(for: start)
        #expect(pipeline.layout == whole)
    }

    @Test func `a chain alone goes on with other gradients`() throws {
        var chain = try Chain(for: layout(["layer0.weight"])) { Unscale(.dynamic(growthInterval: 1)) }
        var gradients = TensorSet.random(chain.layout, seed: 1)
        #expect(try chain.transform(&gradients).isApplied)
        let scale = chain.lossScale
        try chain.relayout(for: whole)
        #expect(chain.lossScale == scale)
        gradients = .random(whole, seed: 2)
        #expect(try chain.transform(&gradients).isApplied)
        #expect(chain.appliedSteps == 2)
    }

    @Test(arguments: optimizers.indices, [true, false])
    func `a parameter that is thawed begins as in its first step, and others go on`(
        _ optimizer: Int, _ isResumed: Bool
    ) throws {
        func pipeline(
            _ prefix: String, _ parameters: TensorSet, resuming state: PipelineState<TensorSet>? = nil
        ) throws -> Pipeline {
            let (backend, driving) = (SIMDBackend(threads: 1, blockLength: 64), Self.optimizers[optimizer])
            let stages = { [Freeze(prefix: prefix), ClipByNorm(1)] as [any Stage] }
            if let state {
                return try Pipeline(resuming: state, for: parameters, on: backend, stages) { driving() }
            }
            return try Pipeline(for: parameters, on: backend, stages) { driving() }
        }
        var parameters = TensorSet.random(whole, seed: 1)
        var tested = try pipeline("layer1.", parameters)
        let thawed = "layer1.weight"
        var alone: [String: Training] = [:]
        for name in ["layer0.weight", thawed] {
            let own = parameters.only(try layout([name]))
            alone[name] = Training(
                parameters: own,
                pipeline: try Pipeline(for: own, on: SIMDBackend(threads: 1, blockLength: 64)) {
                    ClipByNorm(1)
                } driving: {
                    Self.optimizers[optimizer]()
                })
        }
        for seed in 0..<6 as Range<UInt64> {
            if seed == 3 {
                if isResumed {
                    tested = try pipeline("layer2.", parameters, resuming: tested.state)
                } else {
                    try tested.change(Freeze.self) { $0.selection = .named(prefix: "layer2.") }
                }
            }
            let gradients = TensorSet.random(whole, seed: seed)
            _ = try tested.step(&parameters, gradients: gradients)
            for name in ["layer0.weight", thawed] where name != thawed || seed >= 3 {
                try alone[name]?.step(gradients.only(try layout([name])))
            }
            for (name, training) in alone {
                #expect(parameters.bits(of: name) == training.parameters.bits, "\(name) in step \(seed)")
            }
        }
        let first = TensorSet.random(whole, seed: 1)
        #expect(parameters.bits(of: "layer2.weight") != first.bits(of: "layer2.weight"))
    }
}

/// The steps that an observer was told of.
private final class ToldSteps: Sendable {
    private let list = Mutex<[Int]>([])
    var steps: [Int] { list.withLock { $0 } }

    func note(_ step: Int) { list.withLock { $0.append(step) } }
}
