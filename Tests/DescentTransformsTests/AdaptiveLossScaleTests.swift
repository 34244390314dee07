import Descent
import TestSupport
import Testing

/// Loss scales that follow gradients, and those that several pipelines share.
@Suite struct AdaptiveLossScaleTests {
    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[10, 10]]) }

    /// Gradients of a magnitude, times the loss scale, as Float16 would hold them.
    private func gradients(_ magnitude: Float, scale: Float, small: Float? = nil) -> TensorSet {
        var gradients = TensorSet(zeros: layout, .float16)
        gradients["layer0.weight"] = (0..<100).map { index in
            let value = index == 0 ? magnitude : small ?? magnitude / 2
            return (index % 2 == 0 ? value : -value) * scale
        }
        return gradients
    }

    @Test func `follows the largest gradient up and down without waiting for an overflow`() throws {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.adaptive(initial: 1, meanDecay: 0.5, varianceDecay: 0.8))
        } driving: {
            AdamW()
        }
        for (magnitude, expected) in [(1.0 / 64, 22), (1.0 / 128, 23), (1, 16)] as [(Float, Int)] {
            for _ in 0..<40 {
                let scale = pipeline.lossScale
                _ = try pipeline.step(&parameters, gradients: gradients(magnitude, scale: scale))
            }
            // What is left of the deviation seen on the way may leave more room than a constant gradient needs.
            let exponent = Int(pipeline.lossScale.exponent)
            #expect(pipeline.lossScale == Float(sign: .plus, exponent: exponent, significand: 1))
            #expect((expected - 1...expected).contains(exponent), "2^\(exponent) for \(magnitude)")
            #expect(pipeline.lossScale * magnitude <= 65_504)
        }
        #expect(pipeline.skippedSteps <= 4)
    }

    @Test func `a constant gradient gets the largest power of two that keeps it within Float16`() throws {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.adaptive(initial: 4))
        } driving: {
            AdamW()
        }
        for _ in 0..<5 {
            _ = try pipeline.step(&parameters, gradients: gradients(0.75, scale: pipeline.lossScale))
        }
        #expect(pipeline.lossScale == 65_536)
        #expect(pipeline.skippedSteps == 0)
    }

    @Test func `an overflow is skipped and at least halves the scale`() throws {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.adaptive(initial: 1_048_576))
        } driving: {
            AdamW()
        }
        let outcome = try pipeline.step(&parameters, gradients: gradients(1, scale: pipeline.lossScale))
        #expect(!outcome.isApplied)
        #expect(pipeline.lossScale <= 524_288)
        for _ in 0..<3 { _ = try pipeline.step(&parameters, gradients: gradients(1, scale: pipeline.lossScale)) }
        #expect(pipeline.appliedSteps > 0)
    }

    @Test func `many elements below the smallest normal number raise the scale`() throws {
        func finalScale(limit: Float) throws -> Float {
            var parameters = TensorSet(zeros: layout)
            // Two magnitudes in turn make a deviation, which leaves room that small elements may use.
            var pipeline = try Pipeline(for: parameters) {
                Unscale(.adaptive(initial: 256, smallShareLimit: limit))
            } driving: {
                AdamW()
            }
            for step in 0..<40 {
                let magnitude: Float = step % 2 == 0 ? 1 : 0.0625
                _ = try pipeline.step(
                    &parameters, gradients: gradients(magnitude, scale: pipeline.lossScale, small: 1e-9))
            }
            return pipeline.lossScale
        }
        #expect(try finalScale(limit: 0.05) == 2 * finalScale(limit: 1))
    }

    @Test func `a zero gradient leaves the scale alone`() throws {
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.adaptive(initial: 512))
        } driving: {
            AdamW()
        }
        #expect(try pipeline.step(&parameters, gradients: TensorSet(zeros: layout)).isApplied)
        #expect(pipeline.lossScale == 512)
    }

    @Test func `pipelines that share a scale skip by themselves, and an overflow in any backs it off once`() throws {
        let scale = try SharedLossScale(.dynamic(initial: 64, growthInterval: 2))
        var parameters = [TensorSet(zeros: layout), TensorSet(zeros: layout)]
        var pipelines = try parameters.map {
            try Pipeline(for: $0) {
                Unscale(scale)
            } driving: {
                SGD(learningRate: 1)
            }
        }
        func round(_ values: [Float]) throws -> [Bool] {
            let applied = try pipelines.indices.map { index in
                try pipelines[index].step(
                    &parameters[index], gradients: gradients(values[index], scale: scale.scale)
                ).isApplied
            }
            #expect(pipelines.allSatisfy { $0.lossScale == scale.scale })
            try scale.update()
            return applied
        }
        #expect(try round([1, 1]) == [true, true])
        #expect(scale.scale == 64)
        #expect(try round([1, 1]) == [true, true])
        #expect(scale.scale == 128)
        #expect(try round([1, .infinity]) == [true, false])
        #expect(scale.scale == 64)
        #expect(try round([.infinity, .infinity]) == [false, false])
        #expect(scale.scale == 32)
        #expect(pipelines.map(\.skippedSteps) == [1, 2])
        try scale.update()
        #expect(scale.scale == 32)
    }

    @Test func `a shared scale at its minimum throws when the round ends`() throws {
        let scale = try SharedLossScale(.dynamic(initial: 1))
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(scale)
        } driving: {
            AdamW()
        }
        _ = try pipeline.step(&parameters, gradients: gradients(.infinity, scale: 1))
        let error = #expect(throws: DescentError.self) { try scale.update() }
        #expect(error?.code == .lossScaleExhausted)
        #expect(throws: DescentError.self) { try SharedLossScale(.adaptive()) }
        #expect(throws: DescentError.self) { try SharedLossScale(.dynamic(initial: -1)) }
    }

    /// A pipeline that divides by a shared scale.
    private func makePipeline(
        _ scale: SharedLossScale, maximum: Float = 1, resuming state: PipelineState<TensorSet>? = nil
    ) throws -> Pipeline {
        let stages: [any Stage] = [Unscale(scale), ClipByGlobalNorm(maximum)]
        let (parameters, optimizer) = (TensorSet(zeros: layout), SGD(learningRate: 1))
        if let state { return try Pipeline(resuming: state, for: parameters, { stages }, driving: { optimizer }) }
        return try Pipeline(for: parameters, { stages }, driving: { optimizer })
    }

    @Test func `an overflow of a round outlasts changed settings, other pipelines and refused states`() throws {
        let earlier = try makePipeline(SharedLossScale(.dynamic(initial: 16))).state
        let events: [(SharedLossScale, inout Pipeline) throws -> Void] = [
            { _, pipeline in try pipeline.change(SGD.self) { $0.learningRate = 0.5 } },
            { _, pipeline in
                #expect(throws: DescentError.self) { try pipeline.change(ClipByGlobalNorm.self) { $0.maximum = -1 } }
            },
            { _, pipeline in try pipeline.relayout(for: TensorSet(zeros: layout)) },
            { scale, _ in _ = try makePipeline(scale) },
            { scale, _ in
                #expect(throws: DescentError.self) { try makePipeline(scale, maximum: -1, resuming: earlier) }
            },
        ]
        for (index, event) in events.enumerated() {
            let scale = try SharedLossScale(.dynamic(initial: 64))
            var pipelines = [try makePipeline(scale), try makePipeline(scale)]
            var parameters = TensorSet(zeros: layout)
            #expect(try !pipelines[0].step(&parameters, gradients: gradients(.infinity, scale: 1)).isApplied)
            try event(scale, &pipelines[1])
            #expect(try pipelines[1].step(&parameters, gradients: gradients(1, scale: 64)).isApplied)
            try scale.update()
            #expect(scale.scale == 32, "event \(index)")
        }
    }

    @Test func `what was noted of a round is forgotten where another state is put in`() throws {
        let earlier = try makePipeline(SharedLossScale(.dynamic(initial: 16))).state
        let scale = try SharedLossScale(.dynamic(initial: 64))
        var pipeline = try makePipeline(scale)
        var parameters = TensorSet(zeros: layout)
        #expect(try !pipeline.step(&parameters, gradients: gradients(.infinity, scale: 1)).isApplied)
        pipeline = try makePipeline(scale, resuming: earlier)
        try scale.update()
        #expect(scale.scale == 16)
    }
}
