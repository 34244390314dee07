import Descent
import TestSupport
import Testing

/// Names that nothing knows, in documents and elsewhere: what is near is named, and what is long is cut.
@Suite struct NearNameTests {
    @Test(arguments: [
        (
            #"{"stages": [{"stage": "ClipByValue", "limti": 1}]}"#,
            #"unknown setting "limti" at stages[0]; did you mean "limit"?"#
        ),
        (
            #"{"stages": [{"stage": "Centralize", "onyl": "fc."}]}"#,
            #"unknown setting "onyl" at stages[0]; did you mean "only"?"#
        ),
        (
            #"{"stages": [{"stag": "Centralize"}]}"#,
            #"expected a name, or an object with a name as "stage", at stages[0]; there is "stag"."#
        ),
        (
            #"{"optimizer": {"optimiser": "AdamW"}}"#,
            #"expected a name, or an object with a name as "optimizer", at optimizer; there is "optimiser"."#
        ),
        (
            #"{"optimizer": {"optimizer": "SGD", "learningRate": {"exponentail": {}}}}"#,
            #"optimizer.learningRate: unknown schedule "exponentail"; did you mean "exponential"?"#
        ),
        (
            #"{"optimizer": {"optimizer": "SGD", "learningRate": {"warmupCosin": {}}}}"#,
            #"optimizer.learningRate: unknown schedule "warmupCosin"; did you mean "warmupCosine"?"#
        ),
        (
            #"{"optimizer": {"optimizer": "AdamW", "groups": [{"rnak": [0, 1], "weightDecay": 0}]}}"#,
            #"unknown setting "rnak" at optimizer.groups[0]; did you mean "rank"?"#
        ),
        (
            #"{"stages": [{"stage": "Unscale", "lossScale": {"statc": 8}}]}"#,
            #"unknown setting "statc" at stages[0].lossScale; did you mean "static"?"#
        ),
        (
            #"{"stages": [{"stage": "Accumulate", "steps": 2, "reduction": "maen"}]}"#,
            #"expected one of "mean", "sum", "weighted" (did you mean "mean"?), found "maen", at stages[0].reduction."#
        ),
        (
            #"{"stages": [{"stage": "Accumulate", "steps": 2, "nonFinite": "stop"}]}"#,
            #"expected one of "skipWindow", "dropMicroBatch", found "stop", at stages[0].nonFinite."#
        ),
    ]) func `a name that nothing knows is answered with the nearest one`(_ text: String, _ message: String) {
        #expect(thrownError { _ = try PipelineDescription(parsing: text) }?.message == message)
    }

    @Test func `null stands for what is left out, also for what restricts a stage`() throws {
        let text = """
            {"stages": [{"stage": "Centralize", "only": null}, {"stage": "ClipAdaptively", "excluding": null},
                {"stage": "ClipByValue", "limit": null, "lower": -1, "upper": 1}, {"stage": "Unscale", "lossScale": null}]}
            """
        let description = try PipelineDescription(parsing: text)
        #expect(description.stages[0] is Centralize)
        let usual = PipelineDescription(stages: [Centralize(), ClipAdaptively(), ClipByValue(1), Unscale()])
        #expect(try description.text() == usual.text())
    }

    @Test(arguments: [
        #"{"stage": "ClipAdaptively", "excluding": "zzz"}"#, #"{"stage": "Centralize", "only": "zzz"}"#,
        #"{"stage": "Freeze", "prefix": "zzz"}"#, #"{"stage": "Mask", "prefix": "zzz"}"#,
        #"{"stage": "ClipLayerwise", "layers": {"zzz": 1}}"#,
    ])
    func `a selection that matches nothing is refused when the pipeline is built`(_ stage: String) throws {
        let description = try PipelineDescription(parsing: "{\"stages\": [\(stage)], \"optimizer\": \"AdamW\"}")
        let parameters = TensorSet(zeros: try makeLayout([[3, 2]]))
        let found = thrownError { _ = try Pipeline(for: parameters, description) }
        #expect(found?.code == .invalidSetting)
        #expect(found?.message.contains(parameters.layout[0].layer) == true)
    }

    // MARK: Tensors of a host

    @Test func `a tensor of a name that no parameter has is answered with the nearest one`() throws {
        let layout = try ParameterLayout([
            ParameterDescription("fc1.weight", shape: [2]), ParameterDescription("fc1.bias", shape: [1]),
        ]).tying(["head.weight": "fc1.weight"])
        var pipeline = try Pipeline(for: TensorSet(zeros: layout)) {
        } driving: {
            SGD(learningRate: 1)
        }
        var chain = try Chain(for: layout) { Centralize() }
        var wrapped = WrappedOptimizer(Forgetful(), behind: chain)
        let (weight, bias) = ([Float](repeating: 1, count: 2), [Float](repeating: 1, count: 1))
        let right = ["fc1.weight": weight, "fc1.bias": bias]
        let unknown = [
            (["fc1.weight": weight, "fc1.bais": bias], "fc1.bais", "fc1.bias"),
            (["heda.weight": weight, "fc1.bias": bias], "heda.weight", "head.weight"),
            (right.merging(["fc2.bias": bias]) { $1 }, "fc2.bias", "fc1.bias"),
        ]
        for (values, name, nearest) in unknown {
            let hint = "\(name)\", which the pipeline was not built for; did you mean \"\(nearest)\"?"
            var lent = values
            try lent.withUnsafeTensors { (tensors) throws(DescentError) in
                let found = thrownError { _ = try chain.transform(unsafeGradients: tensors) }
                #expect(found?.code == .unexpectedParameter)
                #expect(found?.message == "There is a tensor named \"\(hint)")
                let parameters = thrownError {
                    _ = try pipeline.step(unsafeParameters: tensors, unsafeGradients: tensors)
                }
                #expect(parameters?.message == "There is a tensor named \"\(hint)")
            }
            let update = thrownError { _ = try wrapped.update(gradients: values) }
            #expect(update?.message == "There is a tensor named \"\(hint)")
            // Of tied names a set has none.
            guard layout.index(named: nearest) != nil else { continue }
            let set = thrownError { _ = try TensorSet(values, layout: layout) }
            #expect(
                set?.message == "\"\(name)\" has values but is not in the layout; did you mean \"\(nearest)\"?")
        }
        #expect(
            thrownError { try pipeline.receive(bias.span, for: "fc1.bais") }?.message
                == "There is no parameter named \"fc1.bais\" to receive a gradient for; did you mean \"fc1.bias\"?")
        #expect(
            thrownError { try pipeline.receive(weight.span, for: "embedding") }?.message
                == "There is no parameter named \"embedding\" to receive a gradient for.")
    }

    /// An optimizer that does nothing.
    private struct Forgetful: HostOptimizer {
        mutating func update(_ model: inout Void, gradients: [String: [Float]]) {}
    }

    // MARK: Names that are long

    private static let long = String(repeating: "n", count: 200_000)

    @Test(arguments: [
        "{\"stages\": [\"\(long)\"]}", "{\"\(long)\": 1}", "{\"optimizer\": \"\(long)\"}",
        "{\"stages\": [{\"stage\": \"Centralize\", \"\(long)\": 1}]}",
        "{\"stages\": [{\"stage\": \"Accumulate\", \"steps\": 2, \"reduction\": \"\(long)\"}]}",
        "{\"stages\": [{\"stage\": \"ClipByGlobalNorm\", \"maximum\": 1, \"norm\": \"\(long)\"}]}",
        "{\"stages\": [{\"stage\": \"ClipByNorm\", \"maximum\": \"\(long)\"}]}", "\(long)",
    ]) func `a long name in a document is cut in messages`(_ text: String) throws {
        let error = try #require(thrownError { _ = try PipelineDescription(parsing: text) })
        #expect(error.message.utf8.count < 500)
    }

    @Test func `a long name of a parameter is cut in messages`() throws {
        let layout = try ParameterLayout([ParameterDescription(Self.long, shape: [2])])
        let other = try makeLayout([[2]])
        let stage = Centralize()
        let folder = try TemporaryFolder()
        try TensorSet(zeros: layout).save(to: folder["t"])
        let errors = [
            thrownError { _ = try ParameterDescription(Self.long, shape: [-1]) },
            thrownError { _ = try ParameterLayout([layout[0], layout[0]]) },
            thrownError { _ = try TensorSet([Self.long: [1]], layout: layout) },
            thrownError { _ = try TensorSet([Self.long: [1]], layout: other) },
            thrownError { _ = try layout.requireMatch(of: other, as: "gradients") },
            thrownError { _ = try other.requireMatch(of: layout, as: "gradients") },
            thrownError {
                var tensors = TensorSet(zeros: other)
                try tensors.load(contentsOf: folder["t"])
            },
            thrownError {
                _ = try Chain(for: layout) { stage.only(prefix: "zzz") }
            },
            thrownError {
                _ = try Chain(for: other) { ClipLayerwise(default: 1, layers: [Self.long: 1]) }
            },
        ]
        for (index, error) in errors.enumerated() {
            #expect(error != nil, "number \(index)")
            #expect(error?.message.utf8.count ?? 0 < 5_000, "number \(index)")
        }
    }
}
