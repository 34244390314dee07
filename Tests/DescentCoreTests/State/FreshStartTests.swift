import Descent
import DescentCore
import TestSupport
import Testing

/// What begins in the middle of a training, though others have been there before.
@Suite struct FreshStartTests {
    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4], [3]]) }

    private var eights: TensorSet { TensorSet(filling: layout, with: 8) }

    /// Takes some steps with gradients that are all 1.
    private func train(_ pipeline: inout Pipeline, _ parameters: inout TensorSet, steps: Int = 1) throws {
        for _ in 0..<steps { _ = try pipeline.step(&parameters, gradients: TensorSet(filling: layout, with: 1)) }
    }

    private func resume(
        _ pipeline: Pipeline, for parameters: TensorSet, freezing name: String? = nil,
        @DrivingBuilder driving: () -> [OptimizerBranch]
    ) throws -> Pipeline {
        try Pipeline(resuming: pipeline.state, .matchingStages, for: parameters) {
            if let name { Freeze(prefix: name) }
        } driving: {
            driving()
        }
    }

    @Test func `followers that are new start at the parameters`() throws {
        var parameters = eights
        var pipeline = try Pipeline(for: parameters) { SGD(learningRate: 0) }
        try train(&pipeline, &parameters, steps: 5)
        pipeline = try resume(pipeline, for: parameters) {
            SGD(learningRate: 0).then {
                Lookahead(synchronizationPeriod: 6)
                ExponentialMovingAverage(decay: 0.999)
            }
        }
        try train(&pipeline, &parameters)
        #expect(parameters == eights)
        #expect(pipeline.averagedParameters == eights)
        try train(&pipeline, &parameters, steps: 9)
        let average = try #require(pipeline.averagedParameters)
        #expect(layout.allSatisfy { abs(average[$0.name][0] - 8) < 1e-5 })
    }

    @Test func `they do so too where a change, a copy, a save or a NaN comes before their first step`() throws {
        var parameters = eights
        var pipeline = try Pipeline(for: parameters) { SGD(learningRate: 0) }
        try train(&pipeline, &parameters, steps: 5)
        let followed = SGD(learningRate: 0).then {
            Lookahead(synchronizationPeriod: 6)
            ExponentialMovingAverage(decay: 0.999)
        }
        pipeline = try resume(pipeline, for: parameters) { followed.branches }
        var changed = pipeline
        try changed.change(SGD.self) { $0.momentum = 0.5 }
        let saved = try resume(pipeline, for: parameters) { followed.branches }
        var relaid = pipeline
        try relaid.relayout(for: parameters)
        var skipped = pipeline
        #expect(try !skipped.step(&parameters, gradients: TensorSet(filling: layout, with: .nan)).isApplied)
        for var pipeline in [pipeline, changed, saved, relaid, skipped] {
            var parameters = eights
            try train(&pipeline, &parameters)
            // The optimizer has been there all the time.
            #expect(try pipeline.state.counters.missedSteps.isEmpty)
            #expect(parameters == eights)
            #expect(pipeline.averagedParameters == eights)
            try train(&pipeline, &parameters, steps: 6)
            #expect(parameters == eights)
        }
    }

    private static let optimizers: [any Optimizer] = [
        AdamW(learningRate: 0.01), RAdam(learningRate: 0.01), Adagrad(learningRate: 0.01, initialAccumulator: 1),
        ScheduleFreeAdamW(learningRate: 0.01), NovoGrad(learningRate: 0.01), LAMB(learningRate: 0.01),
    ]

    @Test(arguments: optimizers) func `an optimizer that is new begins as in its first step`(
        _ optimizer: any Optimizer
    ) throws {
        var parameters = eights
        var pipeline = try Pipeline(for: parameters) { SGD(learningRate: 0.1) }
        try train(&pipeline, &parameters, steps: 20)
        var alone = parameters
        var fresh = try Pipeline(for: alone) { optimizer }
        pipeline = try resume(pipeline, for: parameters) { optimizer }
        for _ in 0..<5 {
            try train(&pipeline, &parameters)
            try train(&fresh, &alone)
            #expect(parameters == alone)
        }
    }

    @Test func `an average goes on behind an optimizer that is new`() throws {
        var parameters = eights
        var pipeline = try Pipeline(for: parameters) { SGD(learningRate: 1).averagingParameters(decay: 0.5) }
        try train(&pipeline, &parameters, steps: 2)
        let average = try #require(pipeline.averagedParameters)
        pipeline = try resume(pipeline, for: parameters) { AdamW(learningRate: 0).averagingParameters(decay: 0.5) }
        try pipeline.change(AdamW.self) { $0.epsilon = 1e-6 }
        try train(&pipeline, &parameters)
        for parameter in layout {
            let expected = zip(average[parameter.name], parameters[parameter.name]).map { 0.5 * $0 + 0.5 * $1 }
            #expect(pipeline.averagedParameters?[parameter.name] == expected)
        }
    }

    @Test func `frozen and thawed in turn, parameters of several optimizers have averages of their own`() throws {
        let names = layout.map(\.name)
        for optimizer in [SGD(learningRate: 0), AdamW(learningRate: 0)] as [any Optimizer] {
            var parameters = eights
            let branches =
                optimizer.only(prefix: names[0]).averagingParameters(decay: 0.9).branches
                + optimizer.only(.named(prefix: names[1]), mayBeUnused: true).averagingParameters(decay: 0.9).branches
            var pipeline = try Pipeline(for: parameters) {
            } driving: {
                branches
            }
            try train(&pipeline, &parameters)
            pipeline = try resume(pipeline, for: parameters, freezing: names[1]) { branches }
            #expect(pipeline.averagedParameters == eights)
            try train(&pipeline, &parameters, steps: 2)
            #expect(pipeline.averagedParameters == eights)
            pipeline = try resume(pipeline, for: parameters) { branches }
            try train(&pipeline, &parameters, steps: 2)
            #expect(pipeline.averagedParameters == eights)
        }
    }
}
