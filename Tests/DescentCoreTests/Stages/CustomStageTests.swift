import Descent
import TestSupport
import Testing

@Suite struct CustomStageTests {
    @Test func `custom stages are fused in the same two sweeps`() throws {
        let layout = try makeLayout([[40, 30], [40]])
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.static(4))
            Squash()
            UnitNorm()
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(pipeline.sweepCount == 2)
        let gradients = TensorSet.random(layout, seed: 2)
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        let squashed = gradients.arrays.joined().map { Double($0) / 4 / (1 + abs(Double($0) / 4)) }
        let norm = squashed.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for (parameter, squashed) in zip(parameters.arrays.joined(), squashed) {
            #expect(abs(Double(parameter) + squashed / norm) < 1e-6)
        }
    }

    @Test func `a stage's slot changes once a step, however many sweeps run it, and not in a skipped step`() throws {
        let layout = try makeLayout([[5, 4]])
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(for: parameters) {
            Smooth(decay: 0.5)
            ClipByGlobalNorm(1000)
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(pipeline.sweepCount == 2)
        var gradients = TensorSet(zeros: layout)
        gradients["layer0.weight"] = [Float](repeating: 1, count: 20)
        var spoiled = gradients
        spoiled["layer0.weight"][7] = .nan
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        #expect(try !pipeline.step(&parameters, gradients: spoiled).isApplied)
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        #expect(parameters["layer0.weight"] == [Float](repeating: -0.5 - 0.75, count: 20))
    }

    @Test func `a custom optimizer ends a chain`() throws {
        let layout = try makeLayout([[2, 2]])
        var parameters = TensorSet(zeros: layout)
        var gradients = parameters
        gradients["layer0.weight"] = [3, -2, 0, 1e-9]
        var pipeline = try Pipeline(for: parameters) {
            ClipByGlobalNorm(1)
        } driving: {
            SignSGD(learningRate: 0.5)
        }
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        #expect(parameters["layer0.weight"] == [-0.5, 0.5, 0, -0.5])
    }

    @Test func `the builder takes conditions, branches of different types and loops`() throws {
        let layout = try makeLayout([[2, 2]])
        for (clips, strict) in [(true, true), (true, false), (false, false)] {
            let chain = try Chain(for: layout) {
                if clips { ClipByValue(1) }
                if strict { ClipByNorm(1) } else { Centralize() }
                for maximum in [3, 2] { ClipByGlobalNorm(Float(maximum)) }
            }
            let text = chain.explain()
            #expect(text.contains("ClipByValue(1.0)") == clips)
            #expect(text.contains("ClipByNorm(1.0)") == strict)
            #expect(text.contains("ClipByGlobalNorm(3.0) → ClipByGlobalNorm(2.0)"))
        }
    }
}
