import Descent
import Foundation
import Testing

@testable import DescentTensorBoard

@Suite struct StepTests {
    private let folder: TemporaryFolder
    private let board: TensorBoardWriter
    private var parameters: TensorSet

    init() throws {
        folder = try TemporaryFolder()
        board = try TensorBoardWriter.stopped(folder)
        parameters = try TensorSet(
            ["fc.weight": [1, 2, 3, 4, 5, 6], "fc.bias": [1, -1]],
            layout: ParameterLayout([
                ParameterDescription("fc.weight", shape: [2, 3]), ParameterDescription("fc.bias", shape: [2]),
            ]))
    }

    private func gradients(_ weight: [Float], _ bias: [Float]) throws -> TensorSet {
        try TensorSet(["fc.weight": weight, "fc.bias": bias], layout: parameters.layout)
    }

    @Test mutating func `every number of a report is recorded`() throws {
        var pipeline = try Pipeline(for: parameters, configuration: .init(reporting: [.layerNorms, .updateRatio])) {
            Unscale(.dynamic(initial: 4))
            ZeroNonFinite()
            ClipByNorm(2)
            ClipByGlobalNorm(1)
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: .warmupCosine(peak: 0.5, warmup: 2, total: 10))
        }
        board.attach(to: &pipeline)
        for step in 1...3 {
            let gradients = try gradients([8, 0, 0, 0, 0, 6], [Float(step), 0])
            let report = try #require(try pipeline.step(&parameters, gradients: gradients).report)
            let reader = try EventReader(path: board.path)
            var expected: [(String, Float)] = [
                ("gradient/norm", Float(try #require(report.gradientNorm))),
                ("gradient/clipped_fraction", report.clippedFraction),
                ("step/learning_rate", report.learningRate), ("step/loss_scale", 4), ("step/skipped", 0),
                ("step/update_ratio", try #require(report.updateRatio)),
            ]
            let places =
                ["ClipByNorm(2.0)/fc.weight", "ClipByNorm(2.0)/fc.bias"]
                + [String](repeating: "ClipByGlobalNorm(1.0)", count: 2)
            try #require(report.norms.count == 4)
            for (index, (place, norm)) in zip(places, report.norms).enumerated() {
                let repetition = index == 3 ? " 2" : ""
                expected.append(("\(place)/norm_before\(repetition)", Float(norm.before)))
                expected.append(("\(place)/norm_after\(repetition)", Float(norm.after)))
            }
            expected += report.counts.map { ("\($0.stage)/count", Float($0.count)) }
            expected += report.layerNorms.map { ("layer_norm/\($0.layer)", Float($0.norm)) }
            #expect(reader.tags(step: step) == expected.map(\.0))
            for (tag, value) in expected { #expect(reader.scalars(tag)[step] == value, "\(tag)") }
            #expect(report.counts.count == 1 && report.layerNorms.count == 1)
        }
    }

    /// Records a number of its own, of all parameters and of one.
    private struct Recording: GradientTransform {
        func transform(_ block: inout some GradientBlock) {}
        mutating func prepare(_ step: inout StepPreparation) {
            step.record("share of \"late\" steps", 0.25)
            step.record("cosine", Double(step.appliedSteps), of: 1)
        }
    }

    @Test mutating func `what stages record, and the rate of each optimizer, is written without being known`() throws {
        var pipeline = try Pipeline(for: parameters) {
            Recording()
            Recording()
        } driving: {
            SGD(learningRate: 0.5).only(prefix: "fc.bias")
            SGD(learningRate: .linear(initial: 1, end: 0, transitionSteps: 4)).then { TrustRatio() }
        }
        board.attach(to: &pipeline)
        for step in 1...2 {
            let gradients = try gradients([8, 0, 0, 0, 0, 6], [Float(step), 0])
            let report = try #require(try pipeline.step(&parameters, gradients: gradients).report)
            let reader = try EventReader(path: board.path)
            let ratio = try #require(report.values.last)
            let expected: [(String, Float)] = [
                ("step/learning_rate", 0.5), ("step/learning_rate/SGD", 0.5),
                ("step/learning_rate/SGD#2", step == 1 ? 1 : 0.75),
                ("Recording/share of \"late\" steps", 0.25), ("Recording/cosine/fc.bias", Float(step - 1)),
                ("Recording/share of \"late\" steps 2", 0.25), ("Recording/cosine/fc.bias 2", Float(step - 1)),
                ("TrustRatio/trust ratio/fc.weight", Float(ratio.value)),
            ]
            let tags = reader.tags(step: step)
            for (tag, value) in expected {
                #expect(tags.contains(tag))
                #expect(reader.scalars(tag)[step] == value, "\(tag)")
            }
            #expect(tags.count { $0.hasPrefix("Recording") || $0.hasPrefix("TrustRatio") } == 5)
        }
    }

    @Test mutating func `a skipped step is recorded with its reason and the next loss scale`() throws {
        var pipeline = try Pipeline(for: parameters) {
            Unscale(.dynamic(initial: 8))
        } driving: {
            SGD(learningRate: 1)
        }
        board.attach(to: &pipeline, every: 100)
        let good = try gradients([1, 2, 3, 4, 5, 6], [1, 2])
        let bad = try gradients([1, 2, 3, 4, 5, 6], [.nan, 2])
        for gradients in [good, bad, bad, good, bad] { _ = try pipeline.step(&parameters, gradients: gradients) }
        let reader = try EventReader(path: board.path)
        #expect(reader.events.map(\.step) == [0, 1, 1, 2])
        #expect(reader.tags(step: 2) == ["step/skipped", "step/loss_scale", "skipped/fc.bias"])
        #expect(reader.scalars("skipped/fc.bias") == [1: 2, 2: 3])
        #expect(reader.scalars("step/loss_scale") == [1: 2, 2: 1])
    }

    @Test mutating func `micro-batches are not recorded, and of applied steps one in so many`() throws {
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
        } driving: {
            SGD(learningRate: 0.1)
        }
        board.attach(to: &pipeline, every: 3)
        let gradients = try gradients([1, 2, 3, 4, 5, 6], [1, 2])
        for _ in 1...14 { _ = try pipeline.step(&parameters, gradients: gradients) }
        let reader = try EventReader(path: board.path)
        #expect(reader.events.map(\.step) == [0, 3, 6])
        #expect(reader.scalars("step/learning_rate") == [3: 0.1, 6: 0.1])
    }

    @Test mutating func `histograms of gradients are recorded by exponent, with what is not in them`() throws {
        var pipeline = try Pipeline(for: parameters) { SGD(learningRate: 0.1) }
        board.histograms(of: pipeline)
        #expect(try EventReader(path: board.path).events.count == 1)

        pipeline.requestHistograms()
        _ = try pipeline.step(
            &parameters, gradients: gradients([0.25, -0.375, 1, -8, 0, 0], [.leastNonzeroMagnitude, 0]))
        board.histograms(of: pipeline)
        let event = try #require(try EventReader(path: board.path).events.last)
        #expect(event.step == 1)
        #expect(
            event.summary.value.map(\.tag) == [
                "gradient_log2/fc.weight", "gradient_log2/fc.weight/zeros", "gradient_log2/fc.bias",
                "gradient_log2/fc.bias/zeros",
            ])
        let weight = event.summary.value[0].histo
        #expect(weight.bucketLimit == [-1, 0, 1, 2, 3, 4])
        #expect(weight.bucket == [2, 0, 1, 0, 0, 1])
        #expect((weight.min, weight.max, weight.num) == (-2, 4, 4))
        #expect((weight.sum, weight.sumSquares) == (2 * -1.5 + 0.5 + 3.5, 2 * 2.25 + 0.25 + 12.25))
        #expect(event.summary.value[1].simpleValue == Float(2) / 6)
        let bias = event.summary.value[2].histo
        #expect((bias.min, bias.max, bias.bucketLimit, bias.bucket) == (-149, -126, [-126], [1]))
    }

    @Test func `numbers that are not finite have a share of their own, and alone make no histogram`() throws {
        var histogram = MagnitudeHistogram()
        for value: Float in [.nan, .infinity, 0, 0] { histogram.add(value) }
        board.histogram("h", histogram, step: 5)
        #expect(try EventReader(path: board.path).tags(step: 5) == ["h/zeros", "h/non_finite"])
        #expect(try EventReader(path: board.path).scalars("h/non_finite") == [5: 0.5])
    }

    @Test func `numbers of any type are recorded, rounded to float32`() throws {
        board.scalar("double", 0.1, step: 1)
        board.scalar("float", Float.infinity, step: 2)
        let reader = try EventReader(path: board.path)
        #expect(reader.scalars("double") == [1: 0.1])
        #expect(reader.scalars("float") == [2: .infinity])
    }
}
