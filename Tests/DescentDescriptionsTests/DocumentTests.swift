import Descent
import DescentDescriptions
import TestSupport
import Testing

/// What documents can say besides the names and settings of stages.
@Suite struct DocumentTests {
    private let layout: ParameterLayout
    private let parameters: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("encoder.weight", shape: [4, 3]), ParameterDescription("head.weight", shape: [2, 4]),
            ParameterDescription("head.bias", shape: [2]),
        ])
        parameters = TensorSet.random(layout, seed: 1)
    }

    private func message(_ text: String, _ catalog: Catalog = .standard) -> String? {
        thrownError { _ = try PipelineDescription(parsing: text, catalog) }?.message
    }

    private func train(_ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ steps: Range<UInt64>) throws {
        for step in steps { _ = try pipeline.step(&parameters, gradients: .random(layout, seed: step + 2)) }
    }

    private func trained(_ pipeline: Pipeline) throws -> [UInt32] {
        var (pipeline, parameters) = (pipeline, parameters)
        try train(&pipeline, &parameters, 0..<6)
        return parameters.bits
    }

    // MARK: Selections

    @Test(arguments: [
        (#""head.""#, ParameterSelection.named(prefix: "head."), ["head.weight", "head.bias"]),
        (
            #"["encoder.", "head.b"]"#, .named(prefixes: ["encoder.", "head.b"]), ["encoder.weight", "head.bias"]
        ),
        (#"{"rank": [0, 1]}"#, .rank(0...1), ["head.bias"]),
        (#"{"prefix": "head."}"#, .named(prefix: "head."), ["head.weight", "head.bias"]),
        (#"{"prefix": ["head.w"]}"#, .named(prefix: "head.w"), ["head.weight"]),
        (#"{"suffix": "bias"}"#, .named(suffix: "bias"), ["head.bias"]),
        (#"{"suffix": ["bias", "d.weight"]}"#, .ending(in: ["bias", "d.weight"]), ["head.weight", "head.bias"]),
    ]) func `parameters are chosen by names and by ranks`(
        _ text: String, _ selection: ParameterSelection, _ names: [String]
    ) throws {
        let description = try PipelineDescription(
            parsing: #"{"stages": [{"stage": "ClipByNorm", "maximum": 0.1, "only": \#(text)}]}"#)
        let restricted = try #require(description.stages[0] as? Only<ClipByNorm>)
        #expect(layout.filter { restricted.selection.contains($0) }.map(\.name) == names)
        let same = PipelineDescription(stages: [ClipByNorm(0.1).only(selection)])
        #expect(try description.text() == same.text())
    }

    @Test func `frozen, masked and grouped parameters are chosen in the same words`() throws {
        let description = try PipelineDescription(
            parsing: """
                {
                  "stages": [
                    {"stage": "Freeze", "prefix": ["encoder.", "head.b"]}, {"stage": "Mask", "rank": [1, 1]},
                    {"stage": "ClipAdaptively", "excluding": {"rank": [0, 1]}}
                  ],
                  "optimizer": {
                    "optimizer": "SGD", "learningRate": 1, "momentum": 0.5,
                    "groups": [{"prefix": ["head.w", "encoder."], "learningRate": 0.5, "momentum": 0.25}]
                  }
                }
                """)
        let same = try Pipeline(for: parameters) {
            Freeze(.named(prefixes: ["encoder.", "head.b"]))
            Mask(.rank(1...1))
            ClipAdaptively(excluding: .rank(0...1))
        } driving: {
            SGD(
                learningRate: 1, momentum: 0.5,
                groups: [.named(prefixes: ["head.w", "encoder."], learningRate: 0.5).setting(momentum: 0.25)])
        }
        let described = try Pipeline(for: parameters, description)
        #expect(described.explain() == same.explain())
        #expect(try trained(described) == trained(same))
        #expect(try PipelineDescription(parsing: description.text()).text() == same.pipelineDescription.text())
    }

    @Test(arguments: [
        (#"{"stages": [{"stage": "Centralize", "only": 3}]}"#, "expected a string, found 3, at stages[0].only."),
        (
            #"{"stages": [{"stage": "Centralize", "only": ["a", 3]}]}"#,
            "expected a string, found 3, at stages[0].only[1]."
        ),
        (
            #"{"stages": [{"stage": "Freeze", "rank": [2, 1]}]}"#,
            "expected the first and the last rank, found [2, 1] at stages[0].rank."
        ),
        (#"{"stages": ["Freeze"]}"#, #"missing setting "prefix" at stages[0]."#),
        (
            #"{"stages": [{"stage": "Centralize", "only": {"ranks": [2, 3]}}]}"#,
            #"unknown setting "ranks" at stages[0].only; did you mean "rank"?"#
        ),
        (
            #"{"stages": [{"stage": "Accumulate", "steps": 2, "only": "a"}]}"#,
            "Accumulate concerns all parameters and cannot be restricted to some, at stages[0].only."
        ),
        (
            #"{"stages": [{"stage": "Centralize", "onyl": "a"}]}"#,
            #"unknown setting "onyl" at stages[0]; did you mean "only"?"#
        ),
    ]) func `a selection that is none is refused with its place`(_ text: String, _ expected: String) {
        #expect(message(text) == expected)
    }

    @Test func `of several beginnings of names each has to be one`() throws {
        for text in [
            #"{"stages": [{"stage": "Freeze", "prefix": ["head.", "haed."]}], "optimizer": "AdamW"}"#,
            #"{"stages": [{"stage": "ClipAdaptively", "excluding": ["head.", "haed."]}], "optimizer": "AdamW"}"#,
            #"{"optimizer": {"optimizer": "AdamW", "groups": [{"prefix": ["head.", "haed."], "weightDecay": 0}]}}"#,
        ] {
            let description = try PipelineDescription(parsing: text)
            let found = thrownError { _ = try Pipeline(for: parameters, description) }
            #expect(found?.message.contains(#"no parameter's name begins with "haed.""#) == true)
        }
    }

    // MARK: Optimizers around others

    @Test func `an optimizer may stand in another one`() throws {
        let description = try PipelineDescription(
            parsing: """
                {"optimizer": {
                  "optimizer": "ExponentialMovingAverage", "decay": 0.5,
                  "of": {"optimizer": "Lookahead", "synchronizationPeriod": 2, "of": {"optimizer": "AdamW", "beta2": 0.9}}
                }}
                """)
        let same = try Pipeline(for: parameters) {
        } driving: {
            AdamW(beta2: 0.9).lookingAhead(synchronizationPeriod: 2).averagingParameters(decay: 0.5)
        }
        let described = try Pipeline(for: parameters, description)
        #expect(described.explain() == same.explain())
        #expect(try trained(described) == trained(same))
        #expect(described.averagedParameters != nil)
        #expect(try PipelineDescription(parsing: description.text()).text() == same.pipelineDescription.text())
    }

    @Test(arguments: [
        (
            #"{"optimizer": {"optimizer": "Lookahead", "of": {"optimizer": "AdamW", "beta1": "a"}}}"#,
            #"expected a number, "NaN", "Infinity" or "-Infinity", found "a", at optimizer.of.beta1."#
        ),
        (
            #"{"optimizer": {"optimizer": "Lookahead", "of": "AdmaW"}}"#,
            #"unknown optimizer "AdmaW" at optimizer.of; did you mean "AdamW"?"#
        ),
        (
            #"{"optimizer": "Lookahead"}"#,
            #"Lookahead at optimizer is no optimizer, but stands behind one: {"optimizer": "AdamW", "then": ["Lookahead"]}."#
        ),
        (
            #"{"optimizer": {"optimizer": "ExponentialMovingAverage", "of": "Lion"}}"#,
            #"missing setting "decay" at optimizer."#
        ),
    ]) func `what is wrong with the inner optimizer is told with its place`(_ text: String, _ expected: String) {
        #expect(message(text) == expected)
    }

    // MARK: Shared loss scales

    @Test func `a loss scale is shared by its name`() throws {
        let scale = try SharedLossScale(.dynamic(initial: 8))
        let catalog = Catalog.standard.adding(scale, named: "adversarial")
        let description = try PipelineDescription(
            parsing: #"{"stages": [{"stage": "Unscale", "shared": "adversarial"}], "optimizer": "AdamW"}"#, catalog)
        var (first, second) = (
            try Pipeline(for: parameters, description), try Pipeline(for: parameters, description)
        )
        #expect(first.lossScale == 8)
        var gradients = TensorSet.random(layout, seed: 2)
        gradients["head.bias"] = [.infinity, 0]
        var parameters = parameters
        _ = try first.step(&parameters, gradients: gradients)
        _ = try second.step(&parameters, gradients: .random(layout, seed: 3))
        try scale.update()
        #expect(first.lossScale == 4)
        #expect(second.lossScale == 4)
        let text = try first.pipelineDescription.text(catalog)
        #expect(text.contains(#""shared": "adversarial""#))
        #expect(try PipelineDescription(parsing: text, catalog).text(catalog) == text)
        let other = try Catalog.standard.adding(SharedLossScale(), named: "adversarial")
        #expect(thrownError { _ = try first.pipelineDescription.text(other) }?.code == .invalidDocument)
    }

    @Test(arguments: [
        (
            #"{"stage": "Unscale", "shared": "adverserial"}"#,
            #"expected the name of a shared loss scale in the catalog (did you mean "adversarial"?), found "adverserial", "#
                + "at stages[0].shared."
        ),
        (
            #"{"stage": "Unscale", "shared": "adversarial", "lossScale": {"static": 8}}"#,
            "expected no settings beside the name of a shared loss scale, which has its own, at stages[0].lossScale."
        ),
    ]) func `a shared loss scale that cannot be is refused with its place`(_ stage: String, _ expected: String) throws {
        let catalog = try Catalog.standard.adding(SharedLossScale(), named: "adversarial")
        #expect(message("{\"stages\": [\(stage)]}", catalog) == expected)
    }

    // MARK: The configuration

    @Test func `a document says how its pipeline runs`() throws {
        let description = try PipelineDescription(
            parsing: """
                {"optimizer": "AdamW", "configuration": {"nonFinite": {"skipAtMost": 2}, "parameterCopy": "bfloat16",
                  "reporting": ["layerNorms"]}}
                """)
        let expected = PipelineConfiguration(
            nonFinite: .skipAtMost(2), parameterCopy: .bfloat16, reporting: .layerNorms)
        #expect(description.configuration == expected)
        var pipeline = try Pipeline(for: parameters, description)
        #expect(pipeline.configuration == expected)
        #expect(pipeline.parameterCopy?.elementType == .bfloat16)
        var (parameters, gradients) = (parameters, TensorSet.random(layout, seed: 2))
        gradients["head.bias"] = [.nan, 0]
        _ = try pipeline.step(&parameters, gradients: gradients)
        _ = try pipeline.step(&parameters, gradients: gradients)
        #expect(thrownError { _ = try pipeline.step(&parameters, gradients: gradients) }?.code == .tooManySkips)
        #expect(try Chain(for: layout, PipelineDescription(parsing: "{}")).sweepCount > 0)
    }

    @Test(arguments: [
        (
            #"{"configuration": {"reportin": ["layerNorms"]}}"#,
            #"unknown setting "reportin" at configuration; did you mean "reporting"?"#
        ),
        (
            #"{"configuration": {"reporting": ["layerNorm"]}}"#,
            #"expected one of "layerNorms", "updateRatio" (did you mean "layerNorms"?), found "layerNorm", "#
                + "at configuration.reporting[0]."
        ),
        (
            #"{"configuration": {"parameterCopy": "float8"}}"#,
            #"expected one of "float32", "float16", "bfloat16" (did you mean "float32"?), found "float8", "#
                + "at configuration.parameterCopy."
        ),
    ]) func `what is wrong with the configuration is told with its place`(_ text: String, _ expected: String) {
        #expect(message(text) == expected)
    }

    // MARK: Old documents

    @Test func `documents of earlier versions are read as they were meant`() throws {
        let old = try PipelineDescription(
            parsing: """
                {
                  "stages": [
                    {"stage": "Accumulate", "steps": 2, "reduction": "sum", "nonFinite": "dropMicrobatch"},
                    {"stage": "Unscale", "lossScale": {"dynamic": {"initial": 4}}},
                    {"stage": "ClipByGlobalNorm", "maximum": 1, "norm": "l2", "epsilon": 1e-06, "only": "head."},
                    {"stage": "ClipAdaptively", "factor": 0.01, "epsilon": 0.001, "excluding": "head."},
                    {"stage": "Mask", "prefix": "head.bias"}
                  ],
                  "optimizer": {
                    "optimizer": "AdamW", "learningRate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-08,
                    "weightDecay": 0.01, "amsgrad": false, "moments": "float32", "maximize": false,
                    "groups": [{"prefix": "head.", "learningRate": 0.5}, {"rank": [0, 1], "weightDecay": 0}]
                  }
                }
                """)
        let now = try Pipeline(for: parameters) {
            Accumulate(steps: 2, reduction: .sum, nonFinite: .dropMicroBatch)
            Unscale(.dynamic(initial: 4))
            ClipByGlobalNorm(1).only(prefix: "head.")
            ClipAdaptively(excluding: .named(prefix: "head."))
            Mask(prefix: "head.bias")
        } driving: {
            AdamW(groups: [.named(prefix: "head.", learningRate: 0.5), .vectorsWithoutDecay])
        }
        #expect(try old.text() == now.pipelineDescription.text())
        #expect(try old.text().contains("dropMicroBatch"))
        #expect(try trained(Pipeline(for: parameters, old)) == trained(now))
    }
}
