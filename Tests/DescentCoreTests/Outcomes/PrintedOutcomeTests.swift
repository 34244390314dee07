import Descent
import TestSupport
import Testing

/// What outcomes, reports, pipelines and chains print as.
@Suite struct PrintedOutcomeTests {
    let layout: ParameterLayout
    let parameters: TensorSet
    let gradients: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("fc.weight", shape: [2, 2]), ParameterDescription("fc.bias", shape: [2]),
        ])
        parameters = .random(layout, seed: 1)
        gradients = try TensorSet(["fc.weight": [16, 0, 0, 0], "fc.bias": [0, 12]], layout: layout)
    }

    @Test func `an outcome prints as one line`() throws {
        var updated = parameters
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2, nonFinite: .dropMicroBatch)
            Unscale(.static(4))
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 0.01)
        }
        var spoiled = gradients
        spoiled["fc.bias"][0] = .nan
        let dropped = #"the gradient of "fc.bias" holds 1 NaN and 0 infinite of 2 elements, since micro-batch 1 of 2"#
        var lines: [String] = []
        for gradients in [gradients, gradients, spoiled, gradients, spoiled, spoiled] {
            lines.append("\(try pipeline.step(&updated, gradients: gradients))")
        }
        #expect(
            lines == [
                "accumulated 1 of 2",
                "applied step 1: gradient norm 5.0, clipped, learning rate 0.01, loss scale 4.0",
                "accumulated 1 of 2, 0 included: \(dropped)",
                "applied step 2: gradient norm 5.0, clipped, learning rate 0.01, loss scale 4.0",
                "accumulated 1 of 2, 0 included: \(dropped)",
                "skipped: no micro-batch of the window counts: each was left out or weighs 0; the first because \(dropped)",
            ])
    }

    @Test func `a report says how many of several norms were clipped, and all rates`() throws {
        var updated = parameters
        var pipeline = try Pipeline(for: parameters) {
            ClipByNorm(14)
        } driving: {
            SGD(learningRate: 0.5).only(prefix: "fc.w")
            AdamW(learningRate: 0.25)
        }
        let report = try #require(pipeline.step(&updated, gradients: gradients).report)
        #expect("\(report)" == "step 1: gradient norm 20.0, 1 of 2 norms clipped, learning rates 0.5, 0.25")
        #expect("\(report)" == report.description)
    }

    @Test func `where nothing was measured, a report is the number of the step`() throws {
        var transformed = gradients
        var chain = try Chain(for: layout, configuration: .init(nonFinite: .propagate)) { Centralize() }
        #expect("\(try chain.transform(&transformed))" == "applied step 1")
    }

    @Test func `a divergence prints as one line`() throws {
        var updated = parameters
        var pipeline = try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: 1e38)
        }
        let outcome = try pipeline.step(&updated, gradients: gradients)
        #expect("\(outcome)".hasPrefix("diverged: step 1 made \"fc.weight\" NaN or infinite, from gradients"))
        #expect(!"\(outcome)".contains("\n"))
    }

    @Test func `a pipeline prints as its chain in order, with the counts of steps`() throws {
        var updated = parameters
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 4))
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 0.01)
        }
        let chain = "Unscale(dynamic) → ClipByGlobalNorm(1.0) → AdamW"
        #expect("\(pipeline)" == "\(chain); 0 steps applied, 0 skipped")
        var spoiled = gradients
        spoiled["fc.bias"][0] = .nan
        for gradients in [gradients, spoiled] { _ = try pipeline.step(&updated, gradients: gradients) }
        #expect("\(pipeline)" == "\(chain); 1 step applied, 1 skipped")
        #expect(pipeline.explain().hasPrefix("Pipeline: \(chain)\n"))
        try pipeline.change(ClipByGlobalNorm.self) { $0.maximum = 2 }
        #expect("\(pipeline)".contains("ClipByGlobalNorm(2.0)"))
    }

    @Test func `so do several optimizers, each with what is behind it, and a chain alone`() throws {
        let pipeline = try Pipeline(for: parameters) {
            Centralize()
        } driving: {
            SGD(learningRate: 0.5).only(prefix: "fc.w")
            AdamW(learningRate: 0.25).then { TrustRatio() }
        }
        #expect("\(pipeline)" == "Centralize → (SGD | AdamW → TrustRatio); 0 steps applied, 0 skipped")
        let bare = try Pipeline(for: parameters, driving: { SGD(learningRate: 1) })
        #expect("\(bare)" == "SGD; 0 steps applied, 0 skipped")
        var chain = try Chain(for: layout) { Centralize() }
        var transformed = gradients
        for _ in 0..<2 { _ = try chain.transform(&transformed) }
        #expect("\(chain)" == "Centralize → gradients out; 2 steps applied, 0 skipped")
    }

    @Test func `what tests compare tells apart what prints alike`() throws {
        func outcome(_ growthInterval: Int) throws -> StepOutcome {
            var updated = parameters
            var pipeline = try Pipeline(for: parameters) {
                Unscale(.dynamic(initial: 4, growthInterval: growthInterval))
            } driving: {
                SGD(learningRate: 0.5)
            }
            return try pipeline.step(&updated, gradients: gradients)
        }
        let (first, second, third) = (try outcome(1), try outcome(1), try outcome(2))
        #expect("\(first)" == "\(third)")
        #expect(first.details == second.details)
        #expect(first.details != third.details)
    }
}
