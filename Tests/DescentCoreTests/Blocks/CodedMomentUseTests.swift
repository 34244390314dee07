import Descent
import TestSupport
import Testing

/// Moments in codes of 8 bits, while people do with pipelines what they do.
@Suite struct CodedMomentUseTests {
    private let start: TensorSet

    init() throws { start = try CodedTraining.parameters() }

    /// The codes and scales of AdamW's moments.
    private func kept(_ pipeline: Pipeline) -> [TensorSet?] {
        ["first moment", "second moment", "first moment scales", "second moment scales", "second moment uncoded"]
            .map { pipeline.slot(named: "AdamW.\($0)") }
    }

    @Test(arguments: CodedTraining.names) func `gradients that are received one by one give the bits of all at once`(
        _ name: String
    ) throws {
        var (whole, streamed) = (start, start)
        var (batch, stream) = (
            try CodedTraining.pipeline(name, .int8, whole), try CodedTraining.pipeline(name, .int8, streamed)
        )
        for step in 0..<4 {
            let gradients = CodedTraining.gradients(of: whole, step)
            _ = try batch.step(&whole, gradients: gradients)
            for parameter in streamed.layout.reversed() {
                try gradients.withElements(of: parameter.name) { try stream.receive($0, for: parameter.name) }
            }
            _ = try stream.step(&streamed)
            #expect(whole == streamed)
        }
    }

    @Test func `a skipped step leaves codes as they are, and a copy goes its own way`() throws {
        var parameters = start
        var pipeline = try CodedTraining.pipeline("AdamW", .int8, parameters)
        try CodedTraining.train(&pipeline, &parameters, steps: 0..<3)
        let before = kept(pipeline)
        #expect(!before.contains(nil))

        var gradients = CodedTraining.gradients(of: parameters, 3)
        gradients["wide"][5] = .nan
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied == false)
        #expect(kept(pipeline) == before)

        var (copy, others) = (pipeline, parameters)
        try CodedTraining.train(&copy, &others, steps: 10..<12)
        #expect(kept(pipeline) == before)
        #expect(kept(copy) != before)
        var expected = parameters
        var same = pipeline
        try CodedTraining.train(&pipeline, &parameters, steps: 3..<6)
        try CodedTraining.train(&same, &expected, steps: 3..<6)
        #expect(parameters == expected)
        #expect(parameters != others)
    }

    @Test func `a parameter without a gradient keeps its codes, and the others change theirs`() throws {
        var parameters = start
        var pipeline = try CodedTraining.pipeline("AdamW", .int8, parameters, .init(missing: .skipParameter))
        try CodedTraining.train(&pipeline, &parameters, steps: 0..<2)
        let before = try #require(pipeline.slot(named: "AdamW.first moment"))
        let scales = try #require(pipeline.slot(named: "AdamW.second moment scales"))
        let gradients = CodedTraining.gradients(of: parameters, 2)
        for parameter in parameters.layout where parameter.name != "wide" {
            try gradients.withElements(of: parameter.name) { try pipeline.receive($0, for: parameter.name) }
        }
        _ = try pipeline.step(&parameters)
        let after = try #require(pipeline.slot(named: "AdamW.first moment"))
        #expect(after["wide"] == before["wide"])
        #expect(pipeline.slot(named: "AdamW.second moment scales")?["wide"] == scales["wide"])
        #expect(after["matrix"] != before["matrix"])
        #expect(after["last"] != before["last"])
    }

    @Test func `what still fits after a change of the model keeps its codes`() throws {
        var parameters = start
        var pipeline = try CodedTraining.pipeline("AdamW", .int8, parameters)
        try CodedTraining.train(&pipeline, &parameters, steps: 0..<2)
        let (codes, scales) = (
            pipeline.slot(named: "AdamW.first moment"), pipeline.slot(named: "AdamW.first moment scales")
        )
        var larger = try TensorSet(parameters.layout.map { $0 } + [ParameterDescription("new", shape: [80, 600])])
        for parameter in parameters.layout { larger[parameter.name] = parameters[parameter.name] }
        try pipeline.relayout(for: larger)
        for name in ["matrix", "wide", "last"] {
            #expect(pipeline.slot(named: "AdamW.first moment")?[name] == codes?[name])
            #expect(pipeline.slot(named: "AdamW.first moment scales")?[name] == scales?[name])
        }
        try CodedTraining.train(&pipeline, &larger, steps: 2..<4)
        #expect(pipeline.slot(named: "AdamW.first moment scales")?["new"].contains { $0 > 0 } == true)
        #expect(!larger["new"].contains { !$0.isFinite })
    }

    /// Codes have no NaN of their own: a group has it together, and no other one.
    @Test func `NaN that is let through reaches the group of its element and no other`() throws {
        var parameters = start
        var pipeline = try CodedTraining.pipeline("AdamW", .int8, parameters, .init(nonFinite: .propagate))
        try CodedTraining.train(&pipeline, &parameters, steps: 0..<2)
        var gradients = CodedTraining.gradients(of: parameters, 2)
        gradients["wide"][600] = .nan
        gradients["matrix"][77 + 40] = .infinity
        gradients["last"][17] = .nan
        _ = try pipeline.step(&parameters, gradients: gradients)
        gradients = CodedTraining.gradients(of: start, 3)
        _ = try pipeline.step(&parameters, gradients: gradients)
        func lost(_ name: String) -> [Int] { parameters[name].indices.filter { !parameters[name][$0].isFinite } }
        #expect(lost("wide") == Array(stride(from: 512 + 8, to: 1_300, by: 16)))
        #expect(lost("matrix") == Array(77 + 32..<77 + 64))
        #expect(lost("last") == Array(16..<32))
        #expect(lost("small").isEmpty)
        #expect(lost("bias").isEmpty)
    }
}
