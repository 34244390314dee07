import Descent
import DescentCore
import TestSupport
import Testing

/// What becomes of an open window when something else changes than its gradients.
@Suite struct ChangedWindowTests {
    private let layout: ParameterLayout

    init() throws { layout = try makeLayout([[4], [3], [2]]) }

    private func filled(_ value: Float) -> TensorSet { TensorSet(filling: layout, with: value) }

    @Test func `what a frozen parameter gathered before never comes back`() throws {
        let names = layout.map(\.name)
        var parameters = filled(0)
        var pipeline = try Pipeline(for: parameters) {
            Freeze(prefix: names[2])
            Accumulate(steps: 2, reduction: .sum)
        } driving: {
            SGD(learningRate: 1)
        }
        for _ in 0..<2 { _ = try pipeline.step(&parameters, gradients: filled(100)) }
        try pipeline.change(Freeze.self) { $0.selection = .named(prefix: names[1]) }
        _ = try pipeline.step(&parameters, gradients: filled(1))
        try pipeline.change(Freeze.self) { $0.selection = .named(prefix: names[2]) }
        let before = parameters
        _ = try pipeline.step(&parameters, gradients: filled(1))
        #expect(before[names[0]][0] - parameters[names[0]][0] == 2)
        #expect(before[names[1]][0] - parameters[names[1]][0] == 1)
    }

    @Test(arguments: [
        (AccumulationWindow.Reduction.mean, AccumulationWindow.Reduction.weighted), (.weighted, .mean),
        (.sum, .weighted),
    ]) func `a sum with weights is not taken for one without`(
        _ former: AccumulationWindow.Reduction, _ reduction: AccumulationWindow.Reduction
    ) throws {
        var parameters = filled(0)
        func make(_ reduction: AccumulationWindow.Reduction, _ state: PipelineState<TensorSet>? = nil) throws
            -> Pipeline
        {
            guard let state else {
                return try Pipeline(for: parameters) {
                    Accumulate(steps: 2, reduction: reduction)
                } driving: {
                    SGD(learningRate: 1)
                }
            }
            return try Pipeline(resuming: state, for: parameters) {
                Accumulate(steps: 2, reduction: reduction)
            } driving: {
                SGD(learningRate: 1)
            }
        }
        var pipeline = try make(former)
        _ = try pipeline.step(&parameters, gradients: filled(1), weight: 10)
        #expect(
            thrownError { try pipeline.change(Accumulate.self) { $0.reduction = reduction } }?.code == .stateMismatch)
        #expect(thrownError { _ = try make(reduction, pipeline.state) }?.code == .stateMismatch)
        _ = try pipeline.step(&parameters, gradients: filled(1), weight: 10)
        try pipeline.change(Accumulate.self) { $0.reduction = reduction }
        #expect(pipeline.appliedSteps == 1)
    }

    @Test func `gradients with different loss scales are summed as if they had one`() throws {
        var parameters = filled(0)
        let scale = try SharedLossScale(.dynamic(initial: 64, growthInterval: 1))
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
            Unscale(scale)
        } driving: {
            SGD(learningRate: 1)
        }
        var other = try Pipeline(for: parameters) {
            Unscale(scale)
        } driving: {
            SGD(learningRate: 0)
        }
        _ = try pipeline.step(&parameters, gradients: filled(64), lossScale: 64)
        var elsewhere = parameters
        _ = try other.step(&elsewhere, gradients: filled(64))
        try scale.update()
        #expect(pipeline.lossScale == 128)
        var closed = pipeline
        var closedParameters = parameters
        _ = try closed.step(&closedParameters, gradients: filled(128), lossScale: 128)
        #expect(closedParameters == filled(-1))
        // Closed early, and gone on with without a scale.
        var (flushed, flushedParameters) = (pipeline, parameters)
        _ = try flushed.flush(&flushedParameters)
        #expect(flushedParameters == filled(-1))
        var resumed = try Pipeline(resuming: pipeline.state, .matchingStages, for: parameters) {
            Accumulate(steps: 2)
        } driving: {
            SGD(learningRate: 1)
        }
        _ = try resumed.step(&parameters, gradients: filled(1))
        #expect(parameters == filled(-1))
    }

    @Test func `one that lacks a gradient is not flushed into memory for all`() throws {
        var chain = try Chain(for: layout, configuration: .init(missing: .skipParameter)) { Accumulate(steps: 4) }
        var gradients = [Float](repeating: 1, count: layout[0].count)
        let name = layout[0].name
        _ = try gradients.withUnsafeMutableBufferPointer { elements throws(DescentError) in
            try chain.transform(unsafeGradients: [UnsafeTensor(name, elements)])
        }
        var result = filled(77)
        let error = thrownError { _ = try chain.flush(into: &result) }
        #expect(error?.code == .missingParameter && error?.parameter == layout[1].name)
        #expect(result == filled(77))
    }
}
