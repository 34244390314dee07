import Descent
import DescentCore
import Foundation
import TestSupport
import Testing

/// Pipelines that a document in JSON describes.
@Suite struct DescriptionTests {
    private let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("encoder.weight", shape: [4, 3]),
            ParameterDescription("decoder.weight", shape: [4, 3]),
            ParameterDescription("decoder.bias", shape: [4]),
        ])
    }

    private func train(_ pipeline: Pipeline) throws -> [UInt32] {
        var (pipeline, parameters) = (pipeline, TensorSet.random(layout, seed: 1))
        for step in 0..<6 as Range<UInt64> {
            _ = try pipeline.step(&parameters, gradients: .random(layout, seed: step + 2), weight: Double(step + 1))
        }
        return parameters.bits
    }

    @Test func `a document gives the pipeline that it describes`() throws {
        let description = try PipelineDescription(
            parsing: """
                {
                  "stages": [
                    {"stage": "Accumulate", "steps": 2, "reduction": "weighted"},
                    {"stage": "Unscale", "lossScale": {"dynamic": {"initial": 64, "growthInterval": 2}}},
                    "Centralize",
                    {"stage": "ClipByGlobalNorm", "maximum": 1, "only": "decoder."},
                    {"stage": "ClipByGlobalNorm", "maximum": 2, "norm": {"lp": 3}},
                    {"stage": "Mask", "prefix": "decoder.bias"}
                  ],
                  "optimizer": {
                    "optimizer": "AdamW", "weightDecay": 0.1,
                    "learningRate": {"warmupCosine": {"peak": 0.01, "warmup": 2, "total": 9}},
                    "groups": [{"prefix": "encoder.", "learningRate": 0.5}, {"rank": [0, 1], "weightDecay": 0}]
                  }
                }
                """)
        let parameters = TensorSet.random(layout, seed: 1)
        let expected = try Pipeline(for: parameters) {
            Accumulate(steps: 2, reduction: .weighted)
            Unscale(.dynamic(initial: 64, growthInterval: 2))
            Centralize()
            ClipByGlobalNorm(1).only { $0.name.hasPrefix("decoder.") }
            ClipByGlobalNorm(2, norm: .lp(3))
            Mask(prefix: "decoder.bias")
        } driving: {
            AdamW(
                learningRate: .warmupCosine(peak: 0.01, warmup: 2, total: 9), weightDecay: 0.1,
                groups: [.named(prefix: "encoder.", learningRate: 0.5), .vectorsWithoutDecay])
        }
        let described = try Pipeline(for: parameters, description)
        #expect(described.explain() == expected.explain())
        #expect(try train(described) == train(expected))
    }

    /// One of everything, with settings that are not the usual ones.
    private var everything: [any Stage] {
        [
            Accumulate(steps: 2, reduction: .sum, nonFinite: .dropMicroBatch), Unscale(.adaptive(initial: 4)),
            AddNoise(eta: 0.1, gamma: 0.5, seed: .max), Centralize(),
            ClipAdaptively(factor: 0.5, excluding: .named(prefixes: ["decoder.", "encoder."])),
            ClipAdaptively(excluding: .rank(0...1)), ClipByGlobalNorm(0.1, norm: .lInfinity),
            ClipByNorm(0.3, epsilon: 0.5), ClipByPercentile(30, historyLength: 3), ClipByValue(0.7),
            ClipByValue(-1...2),
            ClipByZScore(threshold: 1, decay: 0.5, warmup: 2), ClipLayerwise(default: nil, layers: ["encoder": 0.1]),
            Freeze(prefix: "encoder."), Mask(prefix: "decoder.bias"), Mask(.rank(0...1)), Normalize(epsilon: 0.1),
            Scale(by: .exponential(initial: -1, rate: 0.5, transitionSteps: 3)), ZeroNonFinite(),
            ClipByNorm(1).only(prefix: "decoder."), Centralize().only(.rank(2...3)),
            ClipByNorm(2).only(.named(prefixes: ["decoder.weight", "decoder.bias"])),
        ]
    }

    private static let optimizers: [any Driving] = [
        SGD(learningRate: 0.1, momentum: 0.9, nesterov: true, maximize: true), AdamW(moments: .bfloat16),
        Adam(beta1: 0.8, amsgrad: true, groups: [.vectorsWithoutDecay]), LAMB(weightDecay: 0.1),
        Lion(learningRate: .warmupCosine(peak: 1, warmup: 1, total: 5, initial: 0.5, end: 0.1)),
        AdamW(
            maximize: true,
            groups: [
                .named(prefix: "decoder.", learningRate: 0.5).setting(beta1: 0.1, beta2: 0.2, epsilon: 0.25),
                .rank(0...1).setting(maximize: false),
            ]),
        SGD(
            learningRate: 0.1,
            groups: [
                .rank(1...1).setting(momentum: 0.3, nesterov: true), .rank(2...2).setting(momentum: 1, dampening: 0.5),
            ]),
        RMSProp(groups: [.rank(1...1).setting(alpha: 0.99999)]),
        Adagrad(groups: [.rank(1...1).setting(learningRateDecay: 1)]),
        Lion(maximize: true), LAMB(maximize: true), RMSProp(maximize: true), Adagrad(maximize: true),
        RMSProp(alpha: 0.5, momentum: 0.1, centered: true), Adagrad(learningRateDecay: 0.1, initialAccumulator: 0.5),
        AdamW(groups: [.named(prefixes: ["encoder.", "decoder."], learningRate: 0.5)]),
        AdamW(beta2: 0.9).averagingParameters(decay: 0.5),
        SGD(learningRate: 0.1, momentum: 0.5).lookingAhead(synchronizationPeriod: 2, slowStepSize: 0.25)
            .averagingParameters(decay: 0.75),
    ]

    @Test(arguments: optimizers.indices) func `written down and read, everything is what it was`(_ index: Int) throws {
        let configuration = PipelineConfiguration(
            nonFinite: .skipAtMost(3), parameterCopy: .bfloat16, reporting: [.layerNorms, .updateRatio])
        let description = PipelineDescription(
            stages: everything, optimizer: Self.optimizers[index], configuration: configuration)
        let text = try description.text()
        let read = try PipelineDescription(parsing: text)
        #expect(try read.text() == text)
        let parameters = TensorSet.random(layout, seed: 1)
        let (before, after) = (try Pipeline(for: parameters, description), try Pipeline(for: parameters, read))
        #expect(before.explain() == after.explain())
        #expect(try train(before) == train(after))
        #expect(after.configuration == configuration)
        // What stages remember by now is not part of what they are set to.
        var trained = after
        var trainedParameters = parameters
        for step in 0..<3 as Range<UInt64> {
            _ = try trained.step(&trainedParameters, gradients: .random(layout, seed: step))
        }
        #expect(try trained.pipelineDescription.text() == text)
    }

    @Test(arguments: [
        (
            #"{"stages": ["Centralise"]}"#,
            #"unknown stage "Centralise" at stages[0]; did you mean "Centralize"?"#
        ),
        (
            #"{"stages": ["Centralize", {"stage": "ClipByGlobalNorm", "maximun": 1}]}"#,
            #"missing setting "maximum" at stages[1]; there is "maximun"."#
        ),
        (
            #"{"stages": [{"stage": "ClipByNorm", "maximum": 1, "epsilom": 1}]}"#,
            #"unknown setting "epsilom" at stages[0]; did you mean "epsilon"?"#
        ),
        (
            #"{"stages": [{"stage": "Centralize", "axis": 1}]}"#,
            #"unknown setting "axis" at stages[0]; there are no settings."#
        ),
        (
            #"{"stages": [{"stage": "ClipByNorm", "maximum": "one"}]}"#,
            #"expected a number, "NaN", "Infinity" or "-Infinity", found "one", at stages[0].maximum."#
        ),
        (
            #"{"stages": [{"stage": "Unscale", "lossScale": {"dynamic": {"growthIntervall": 2}}}]}"#,
            #"unknown setting "growthIntervall" at stages[0].lossScale.dynamic; did you mean "growthInterval"?"#
        ),
        (
            #"{"stages": [], "optimiser": "AdamW"}"#,
            #"unknown setting "optimiser" at the top level; did you mean "optimizer"?"#
        ),
        (
            #"{"optimizer": {"optimizer": "AdamV"}}"#,
            #"unknown optimizer "AdamV" at optimizer; did you mean "Adam"?"#
        ),
        (
            #"{"stages": [{"maximum": 1}]}"#,
            #"expected a name, or an object with a name as "stage", at stages[0]."#
        ),
    ]) func `what is wrong is told with its place and the nearest name`(_ text: String, _ message: String) {
        #expect(thrownError { _ = try PipelineDescription(parsing: text) }?.message == message)
    }

    /// A custom stage, whose coding the compiler writes.
    private struct Shrink: DescribedTransform {
        var factor: Float
        func transform(_ block: inout some GradientBlock) { block.scale(by: factor) }
    }

    /// A custom optimizer.
    private struct Walk: DescribedOptimizer {
        var learningRate: Schedule
        func update(_ block: inout some UpdateBlock) {
            let rate = block.rates.learningRate
            block.updateEach { gradient, parameter in parameter -= rate * gradient }
        }
    }

    @Test func `custom stages and optimizers take part by being listed`() throws {
        let catalog = Catalog.standard.adding(Shrink.self).adding(Walk.self)
        let text =
            #"{"stages": [{"stage": "Shrink", "factor": 0.5}], "optimizer": {"optimizer": "Walk", "learningRate": 1}}"#
        let description = try PipelineDescription(parsing: text, catalog)
        let parameters = TensorSet.random(layout, seed: 1)
        let expected = try Pipeline(for: parameters) {
            Scale(by: 0.5)
        } driving: {
            SGD(learningRate: 1)
        }
        #expect(try train(try Pipeline(for: parameters, description)) == train(expected))
        #expect(
            try PipelineDescription(parsing: description.text(catalog), catalog).text(catalog)
                == description.text(catalog))
        #expect(thrownError { _ = try PipelineDescription(parsing: text) }?.code == .unknownSetting)
        let undescribed = thrownError { _ = try description.text() }
        #expect(undescribed?.stage == "Shrink")
        #expect(undescribed?.message.contains("has to conform to DescribedTransform") == true)
    }

    /// A custom stage that remembers something, and has left its coding to the compiler.
    private struct Count: DescribedTransform {
        var limit: Int
        var state = 0
        func transform(_ block: inout some GradientBlock) {}
    }

    @Test func `what a stage remembers is refused as a setting, in reading and in writing`() {
        let catalog = Catalog.standard.adding(Count.self)
        let message = "Count codes its state as a setting; list its settings, and no others, in an enum CodingKeys."
        let text = #"{"stages": [{"stage": "Count", "limit": 3}]}"#
        #expect(thrownError { _ = try PipelineDescription(parsing: text, catalog) }?.message == message)
        #expect(
            thrownError { _ = try PipelineDescription(stages: [Count(limit: 3)]).text(catalog) }?.message == message)
    }

    @Test func `the coding of a type is its own, whoever encodes and decodes`() throws {
        let clip = try JSONDecoder().decode(ClipByNorm.self, from: Data(#"{"maximum": 3}"#.utf8))
        #expect(clip.maximum.constant == 3 && clip.epsilon == ClipByNorm(3).epsilon)
        let optimizer = AdamW(beta1: 0.5, groups: [.named(prefixes: ["a", "b"], learningRate: 0.25)])
        let again = try JSONDecoder().decode(AdamW.self, from: JSONEncoder().encode(optimizer))
        #expect(again.beta1.constant == 0.5 && again.groups.map(\.selection.prefixes) == [["a", "b"]])
        let average = try JSONDecoder().decode(
            ExponentialMovingAverage.self, from: JSONEncoder().encode(ExponentialMovingAverage(decay: 0.75)))
        #expect(average.decay == 0.75)
        let restricted = try JSONDecoder().decode(
            Only<Scale>.self, from: JSONEncoder().encode(Scale(by: 2).only(.rank(1...2))))
        #expect(restricted.name == Scale(by: 2).only(prefix: "").name && restricted.selection.prefixes == nil)
    }

    @Test func `what has been given a closure cannot be written down, and is named`() throws {
        let shared = try SharedLossScale()
        for stage: any Stage in [
            Mask { _ in true }, Freeze { _ in false }, ClipByNorm(1).only { _ in true },
            ClipByNorm(1).only(prefix: "a").only(prefix: "b"),
            Scale(by: .custom("x") { _ in 1 }),
            ClipLayerwise(default: 1) { $0.name }, ClipAdaptively { _ in true }, Unscale(shared),
        ] {
            let found = thrownError { _ = try PipelineDescription(stages: [stage]).text() }
            #expect(found?.code == .invalidDocument)
            #expect(found?.stage == stage.name, "\(stage.name)")
        }
    }
}
