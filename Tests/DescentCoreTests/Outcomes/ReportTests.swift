import Descent
import Synchronization
import TestSupport
import Testing

/// What a step tells of itself.
@Suite struct ReportTests {
    let layout: ParameterLayout
    let parameters: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("fc1.weight", shape: [6, 5]), ParameterDescription("fc1.bias", shape: [6]),
            ParameterDescription("fc2.weight", shape: [3, 6]),
        ])
        parameters = .random(layout, seed: 1)
    }

    private func norm(_ tensors: TensorSet, where condition: (String) -> Bool = { _ in true }) -> Double {
        layout.filter { condition($0.name) }.flatMap { tensors[$0.name] }.reduce(0) { $0 + Double($1) * Double($1) }
            .squareRoot()
    }

    private func report(_ outcome: StepOutcome) throws -> StepReport {
        guard case .applied(let report) = outcome else { throw DescentError(.init("test"), "not applied: \(outcome)") }
        return report
    }

    @Test func `norm stages say where they stand, what they saw and what they did`() throws {
        var updated = parameters
        var gradients = TensorSet.random(layout, seed: 2)
        for parameter in layout { gradients[parameter.name] = gradients[parameter.name].map { $0 * 8 } }
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.static(8))
            ClipByGlobalNorm(1)
            ClipLayerwise(default: 0.5)
        } driving: {
            SGD(learningRate: 0.1)
        }
        let report = try report(pipeline.step(&updated, gradients: gradients))
        #expect(
            report.norms.map(\.stage) == ["ClipByGlobalNorm(1.0)"]
                + Array(repeating: "ClipLayerwise(default: 0.5)", count: 2))
        #expect(report.norms.map(\.group) == [nil, "fc1", "fc2"])
        #expect(abs(Double(report.norms[0].before) - norm(gradients) / 8) < 1e-5)
        #expect(abs(report.norms[0].after - 1) < 1e-5)
        #expect(abs(Double(report.norms[1].before) - norm(gradients) { $0.hasPrefix("fc1") } / norm(gradients)) < 1e-5)
        #expect(report.gradientNorm == report.norms[0].before)
        #expect(report.isClipped)
        #expect(report.clippedFraction > 0)
        #expect(report.lossScale == 8)
        #expect(report.learningRate == 0.1)
        #expect(report.appliedSteps == 1)
    }

    @Test func `a clip in front of a window tells of the last micro-batch alone, of none after a flush`() throws {
        let layout = try ParameterLayout([ParameterDescription("weight", shape: [2])])
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            ClipByGlobalNorm(1)
            Accumulate(steps: 2)
        } driving: {
            SGD(learningRate: 0.1)
        }
        func step(_ size: Float) throws -> StepOutcome {
            try pipeline.step(&parameters, gradients: TensorSet(["weight": [size, 0]], layout: layout))
        }
        _ = try step(5)
        let last = try report(step(0.5))
        #expect(!last.isClipped)
        #expect(last.gradientNorm == 0.5)
        #expect(last.norms.map(\.before) == [0.5])
        _ = try step(0.5)
        #expect(try report(step(5)).isClipped)
        _ = try step(5)
        let flushed = try report(#require(try pipeline.flush(&parameters)))
        #expect(!flushed.isClipped)
        #expect(flushed.norms.isEmpty)
    }

    @Test func `without a norm stage the gradient's norm is the one that the check made, at its true scale`() throws {
        for scale: Float in [1, 64] {
            var updated = parameters
            var gradients = TensorSet.random(layout, seed: 2)
            let expected = norm(gradients)
            for parameter in layout { gradients[parameter.name] = gradients[parameter.name].map { $0 * scale } }
            var pipeline = try Pipeline(for: parameters) {
                Unscale(.static(scale))
            } driving: {
                AdamW()
            }
            let report = try report(pipeline.step(&updated, gradients: gradients))
            #expect(abs(Double(report.gradientNorm ?? 0) - expected) < 1e-5)
            #expect(report.norms.isEmpty)
        }
        var unchecked = try Pipeline(for: parameters, configuration: .init(nonFinite: .propagate)) {
        } driving: {
            AdamW()
        }
        var updated = parameters
        #expect(try report(unchecked.step(&updated, gradients: parameters)).gradientNorm == nil)
    }

    @Test func `layer norms are told when asked for, and cost no sweep where gradients are measured anyway`() throws {
        let gradients = TensorSet.random(layout, seed: 2)
        for (policy, sweeps) in [(NonFinitePolicy.skip, 2), (.propagate, 2)] {
            var updated = parameters
            var pipeline = try Pipeline(
                for: parameters, configuration: .init(nonFinite: policy, reporting: .layerNorms)
            ) {
            } driving: {
                SGD(learningRate: 0.1)
            }
            #expect(pipeline.sweepCount == sweeps)
            let layers = try report(pipeline.step(&updated, gradients: gradients)).layerNorms
            #expect(layers.map(\.layer) == ["fc1", "fc2"])
            for layer in layers {
                #expect(abs(Double(layer.norm) - norm(gradients) { $0.hasPrefix(layer.layer) }) < 1e-5)
            }
        }
        #expect(
            try Pipeline(for: parameters, configuration: .init(nonFinite: .propagate)) {
            } driving: {
                AdamW()
            }.sweepCount == 1)
    }

    @Test func `the ratio of the update to the parameters is that of what changed`() throws {
        for optimizer: any Driving in [SGD(learningRate: 0.1), AdamW(learningRate: 0.01), LAMB(learningRate: 0.1)] {
            var updated = parameters
            var pipeline = try Pipeline(for: parameters, configuration: .init(reporting: .updateRatio)) {
            } driving: {
                optimizer
            }
            let report = try report(pipeline.step(&updated, gradients: .random(layout, seed: 2)))
            var change = updated
            for parameter in layout {
                change[parameter.name] = zip(updated[parameter.name], parameters[parameter.name]).map { $0 - $1 }
            }
            let expected = norm(change) / norm(parameters)
            #expect(abs(Double(report.updateRatio ?? 0) - expected) < 1e-5 * expected)
        }
    }

    @Test func `observers are told of every outcome, in order`() throws {
        let events = Mutex<[String]>([])
        let log: @Sendable (String) -> @Sendable (StepEvent) -> Void = { name in
            { event in
                let what =
                    switch event.outcome {
                    case .accumulated(let window): "accumulated \(window.received)"
                    case .applied(let report): "applied \(report.appliedSteps)"
                    case .diverged(let divergence): "diverged \(divergence.parameter)"
                    case .skipped(let reason): "skipped \(reason.parameter ?? "")"
                    }
                events.withLock {
                    $0.append("\(name): \(what), \(event.appliedSteps)+\(event.skippedSteps) at \(event.lossScale)")
                }
            }
        }
        withExtendedLifetime(events) {}
        var updated = parameters
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
            Unscale(.dynamic(initial: 4))
        } driving: {
            AdamW()
        }
        pipeline.observe(log("first"))
        pipeline.observe(log("second"))
        var spoiled = parameters
        spoiled["fc1.bias"][0] = .nan
        for gradients in [parameters, parameters, spoiled, parameters] {
            _ = try pipeline.step(&updated, gradients: gradients)
        }
        let expected = [
            "accumulated 1, 0+0 at 4.0", "applied 1, 1+0 at 4.0", "accumulated 1, 1+0 at 4.0",
            "skipped fc1.bias, 1+1 at 2.0",
        ]
        #expect(events.withLock { $0 } == expected.flatMap { ["first: \($0)", "second: \($0)"] })
    }

    @Test func `histograms count magnitudes, also of a step that is skipped`() throws {
        var updated = parameters
        var gradients = TensorSet(zeros: layout)
        gradients["fc1.bias"] = [1, -1.5, 0.25, Float(bitPattern: 1000), -0.0, 3]
        gradients["fc2.weight"][3] = .nan
        gradients["fc2.weight"][4] = -.infinity
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.static(2))
        } driving: {
            AdamW()
        }
        pipeline.requestHistograms()
        #expect(try !pipeline.step(&updated, gradients: gradients).isApplied)
        let histograms = pipeline.histograms
        #expect(histograms.map(\.count) == [30, 6, 18])
        #expect(histograms[0].zeroCount == 30)
        let bias = histograms[1]
        #expect((bias[0], bias[1], bias[-2], bias.subnormalCount, bias.zeroCount) == (2, 1, 1, 1, 1))
        #expect(bias.count(belowExponent: 0) == 2)
        #expect((histograms[2].nanCount, histograms[2].infiniteCount, histograms[2].zeroCount) == (1, 1, 16))
        _ = try pipeline.step(&updated, gradients: parameters)
        #expect(pipeline.histograms == histograms)
    }

    @Test func `the copy of the parameters is theirs, rounded, from the start and after each applied step alone`()
        throws
    {
        for type in [ElementType.float16, .bfloat16, .float32] {
            var updated = parameters
            var pipeline = try Pipeline(for: parameters, configuration: .init(parameterCopy: type)) {
                ClipByGlobalNorm(1)
            } driving: {
                AdamW()
            }
            func expectCopy(of tensors: TensorSet) throws {
                let copy = try #require(pipeline.parameterCopy)
                #expect(copy.elementType == type)
                for parameter in layout { #expect(copy[parameter.name] == tensors[parameter.name].map(type.rounded)) }
            }
            try expectCopy(of: parameters)
            let first = pipeline.parameterCopy
            #expect(try pipeline.step(&updated, gradients: parameters).isApplied)
            try expectCopy(of: updated)
            #expect(first?["fc1.bias"] == parameters["fc1.bias"].map(type.rounded))
            var spoiled = parameters
            spoiled["fc1.bias"][0] = .nan
            #expect(try !pipeline.step(&updated, gradients: spoiled).isApplied)
            try expectCopy(of: updated)
        }
    }

    @Test func `parameters that are not float32 are refused`() throws {
        let half = TensorSet(zeros: layout, .bfloat16)
        let error = #expect(throws: DescentError.self) {
            try Pipeline(for: half) {
            } driving: {
                AdamW()
            }
        }
        #expect(error?.code == .elementTypeMismatch)
    }
}
