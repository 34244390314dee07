import Descent
import DescentCore
import Synchronization
import TestSupport
import Testing

/// Settings that are changed while training, and metrics that schedules follow.
@Suite struct ChangedSettingTests {
    private static let layout = try? makeLayout([[6, 5], [6]])

    private func run(
        _ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ steps: Range<Int>
    ) throws {
        let layout = try #require(Self.layout)
        for step in steps { _ = try pipeline.step(&parameters, gradients: .random(layout, seed: UInt64(step))) }
    }

    private func make(
        maximum: Schedule = 1, rate: Schedule = 0.1, decay: Schedule = 0.01,
        configuration: PipelineConfiguration = .init(), resuming state: PipelineState<TensorSet>? = nil
    ) throws -> (Pipeline, TensorSet) {
        let parameters = TensorSet.random(try #require(Self.layout), seed: 99)
        guard let state else {
            return (
                try Pipeline(for: parameters, configuration: configuration) {
                    Accumulate(steps: 2)
                    ClipByGlobalNorm(maximum)
                } driving: {
                    AdamW(learningRate: rate, weightDecay: decay).then { ExponentialMovingAverage(decay: 0.5) }
                }, parameters
            )
        }
        return (
            try Pipeline(resuming: state, for: parameters, configuration: configuration) {
                Accumulate(steps: 2)
                ClipByGlobalNorm(maximum)
            } driving: {
                AdamW(learningRate: rate, weightDecay: decay).then { ExponentialMovingAverage(decay: 0.5) }
            }, parameters
        )
    }

    @Test func `what is changed holds from then on, and nothing else changes`() throws {
        var (pipeline, parameters) = try make()
        try run(&pipeline, &parameters, 0..<5)
        #expect(pipeline.window?.received == 1)
        // The same steps, resumed with the other settings.
        let state = try pipeline.state
        var (expected, _) = try make(maximum: 0.01, rate: 0.5, resuming: state)
        var expectedParameters = parameters
        try pipeline.change(ClipByGlobalNorm.self) { $0.maximum = 0.01 }
        try pipeline.change(AdamW.self) { $0.learningRate = 0.5 }
        #expect(pipeline.window?.received == 1)
        #expect(pipeline.appliedSteps == 2)
        try run(&pipeline, &parameters, 5..<9)
        try run(&expected, &expectedParameters, 5..<9)
        #expect(parameters == expectedParameters)
        #expect(pipeline.averagedParameters == expected.averagedParameters)
    }

    private final class Seen: Sendable {
        let count = Mutex(0)
    }

    @Test func `a change that does nothing leaves the bits, and observers, as they were`() throws {
        var (pipeline, parameters) = try make()
        let seen = Seen()
        pipeline.observe { _ in seen.count.withLock { $0 += 1 } }
        var (plain, plainParameters) = (pipeline, parameters)
        try run(&pipeline, &parameters, 0..<3)
        try pipeline.change(ExponentialMovingAverage.self) { $0.decay = 0.5 }
        try run(&pipeline, &parameters, 3..<6)
        #expect(seen.count.withLock { $0 } == 6)
        try run(&plain, &plainParameters, 0..<6)
        #expect(parameters == plainParameters)
    }

    @Test func `an invalid setting is refused, and the old one stays`() throws {
        var (pipeline, parameters) = try make()
        try run(&pipeline, &parameters, 0..<3)
        var (copy, copied) = (pipeline, parameters)
        func refused(_ body: () throws -> Void) -> DescentError? {
            do { try body() } catch { return error as? DescentError }
            return nil
        }
        #expect(refused { try pipeline.change(ClipByGlobalNorm.self) { $0.maximum = -1 } }?.code == .invalidSetting)
        #expect(refused { try pipeline.change(AdamW.self) { $0.beta1 = 2 } }?.code == .invalidSetting)
        #expect(refused { try pipeline.change(Accumulate.self) { $0.steps = 0 } }?.code == .invalidSetting)
        let missing = refused { try pipeline.change(ClipByNorm.self) { _ in } }
        #expect(
            missing?.message.contains("no ClipByNorm to change; the pipeline has Accumulate, ClipByGlobalNorm") == true)
        let late = refused { try pipeline.change(Accumulate.self) { $0.steps = 1 } }
        #expect(late?.code == .stateMismatch)
        try run(&pipeline, &parameters, 3..<6)
        try run(&copy, &copied, 3..<6)
        #expect(parameters == copied)
    }

    @Test func `while gradients arrive nothing can be changed`() throws {
        var (pipeline, parameters) = try make()
        let layout = try #require(Self.layout)
        let gradients = TensorSet.random(layout, seed: 1)
        try pipeline.receive(gradients, of: 1)
        #expect(throws: DescentError.self) { try pipeline.change(AdamW.self) { $0.learningRate = 1 } }
        try pipeline.receive(gradients, of: 0)
        _ = try pipeline.step(&parameters)
        try pipeline.change(AdamW.self) { $0.learningRate = 1 }
    }

    @Test func `a stage that is restricted to some parameters is changed by its own type`() throws {
        let parameters = TensorSet.random(try #require(Self.layout), seed: 1)
        func make(resuming state: PipelineState<TensorSet>? = nil) throws -> Pipeline {
            let stages: [any Stage] = [
                Scale(by: 2).only { _ in true }, ClipByNorm(1).only { _ in true }.only { _ in true }, Scale(by: 3),
            ]
            guard let state else {
                return try Pipeline(for: parameters, { stages }, driving: { SGD(learningRate: 1) })
            }
            return try Pipeline(resuming: state, for: parameters, { stages }, driving: { SGD(learningRate: 1) })
        }
        var pipeline = try make()
        // The one that is not restricted is meant by its type alone.
        try pipeline.change(Scale.self) { $0.factor = 5 }
        try pipeline.change(Only<Scale>.self) { $0.base.factor = 7 }
        try pipeline.change(ClipByNorm.self) { $0.maximum = 4 }
        for pipeline in [pipeline, try make(resuming: pipeline.state)] {
            #expect(
                pipeline.stages.map(\.name) == ["Scale(by: 7.0).only", "ClipByNorm(4.0).only.only", "Scale(by: 5.0)"])
        }
    }

    @Test func `one of two stages of a type is told by its number`() throws {
        let layout = try #require(Self.layout)
        var pipeline = try Pipeline(for: TensorSet(zeros: layout)) {
            Scale(by: 2)
            Scale(by: 3)
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(throws: DescentError.self) { try pipeline.change(Scale.self) { $0.factor = 5 } }
        #expect(throws: DescentError.self) { try pipeline.change(Scale.self, number: 3) { $0.factor = 5 } }
        try pipeline.change(Scale.self, number: 2) { $0.factor = 5 }
        #expect(pipeline.stages.map(\.name) == ["Scale(by: 2.0)", "Scale(by: 5.0)"])
    }

    @Test func `a slot that is kept only now begins with zeros, and others stay`() throws {
        let layout = try #require(Self.layout)
        var parameters = TensorSet.random(layout, seed: 9)
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            AdamW()
        }
        try run(&pipeline, &parameters, 0..<2)
        let moment = try #require(pipeline.slot(named: "AdamW.first moment"))
        try pipeline.change(AdamW.self) { $0.amsgrad = true }
        #expect(pipeline.slot(named: "AdamW.first moment") == moment)
        #expect(pipeline.slot(named: "AdamW.largest second moment") == TensorSet(zeros: layout))
        let error = thrownError {
            do { try pipeline.change(AdamW.self) { $0.moments = .bfloat16 } } catch let error as DescentError {
                throw error
            }
        }
        #expect(error?.message.contains("cannot become bfloat16 while training") == true)
    }

    @Test func `what was changed is in the checkpoint, and wins unless told otherwise`() throws {
        var (pipeline, parameters) = try make()
        try run(&pipeline, &parameters, 0..<3)
        try pipeline.change(ClipByGlobalNorm.self) { $0.maximum = 0.01 }
        try pipeline.change(AdamW.self) { $0.weightDecay = 0.5 }
        try pipeline.change(ExponentialMovingAverage.self) { $0.decay = 0.25 }
        let folder = try TemporaryFolder()
        let file = folder["changed.safetensors"]
        try pipeline.checkpoint(to: file, including: parameters)

        func resume(_ settings: ResumedSettings) throws -> (Pipeline, TensorSet) {
            var restored = parameters
            let resumed = try Pipeline(
                resuming: file, restoring: &restored, configuration: .init(resumedSettings: settings)
            ) {
                Accumulate(steps: 2)
                ClipByGlobalNorm(1)
            } driving: {
                AdamW(learningRate: 0.1, weightDecay: 0.01).then { ExponentialMovingAverage(decay: 0.5) }
            }
            return (resumed, restored)
        }
        var (saved, savedParameters) = try resume(.saved)
        var (given, givenParameters) = try resume(.given)
        try run(&pipeline, &parameters, 3..<8)
        try run(&saved, &savedParameters, 3..<8)
        try run(&given, &givenParameters, 3..<8)
        #expect(parameters == savedParameters)
        #expect(pipeline.averagedParameters == saved.averagedParameters)
        #expect(parameters != givenParameters)
        // And once more, from what was resumed.
        try saved.checkpoint(to: file, including: savedParameters)
        var (again, againParameters) = try resume(.saved)
        try run(&saved, &savedParameters, 8..<12)
        try run(&again, &againParameters, 8..<12)
        #expect(savedParameters == againParameters)
    }

    @Test func `a stage whose settings cannot be written down cannot be changed`() throws {
        let layout = try #require(Self.layout)
        var pipeline = try Pipeline(for: TensorSet(zeros: layout)) {
            Smooth(decay: 0.5)
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(throws: DescentError.self) { try pipeline.change(Smooth.self) { _ in } }
    }

    // MARK: Metrics

    @Test func `a plateau is remembered in the checkpoint`() throws {
        let layout = try #require(Self.layout)
        func make(_ state: PipelineState<TensorSet>? = nil) throws -> Pipeline {
            let rate = Schedule.reduceOnPlateau(initial: 0.1, factor: 0.5, patience: 1)
            guard let state else {
                return try Pipeline(for: TensorSet(zeros: layout)) {
                } driving: {
                    SGD(learningRate: rate).only(prefix: "layer0.w")
                    SGD(learningRate: 1)
                }
            }
            return try Pipeline(resuming: state, for: TensorSet(zeros: layout)) {
            } driving: {
                SGD(learningRate: rate).only(prefix: "layer0.w")
                SGD(learningRate: 1)
            }
        }
        var pipeline = try make()
        for metric in [1.0, 1, 1] { try pipeline.note(metric: metric) }
        var resumed = try make(pipeline.state)
        var parameters = TensorSet(zeros: layout)
        for metric in [1.0, 1] {
            try pipeline.note(metric: metric)
            try resumed.note(metric: metric)
        }
        let rates = try [pipeline, resumed].map { pipeline in
            var pipeline = pipeline
            return try pipeline.step(&parameters, gradients: .random(layout, seed: 1)).report?.learningRates
        }
        #expect(rates[0]?.map(\.rate) == [0.025, 1])
        #expect(rates[0]?.map(\.optimizer) == ["SGD", "SGD#2"])
        #expect(rates[0] == rates[1])
        #expect(throws: DescentError.self) { try pipeline.note(metric: .nan) }
    }

    @Test func `a metric that nothing follows is an error`() throws {
        var (pipeline, _) = try make()
        #expect(throws: DescentError.self) { try pipeline.note(metric: 1) }
    }
}
