import Descent
import DescentDescriptions
import TestSupport
import Testing

/// Runs that go on from what was saved, with the pipeline that a document describes.
@Suite struct ResumedDescriptionTests {
    private let layout: ParameterLayout
    private let parameters: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("encoder.weight", shape: [4, 3]), ParameterDescription("head.weight", shape: [2, 4]),
            ParameterDescription("head.bias", shape: [2]),
        ])
        parameters = TensorSet.random(layout, seed: 1)
    }

    private func train(_ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ steps: Range<UInt64>) throws {
        for step in steps { _ = try pipeline.step(&parameters, gradients: .random(layout, seed: step + 2)) }
    }

    private static let document = """
        {
          "stages": [
            {"stage": "Unscale", "lossScale": {"dynamic": {"initial": 4, "growthInterval": 2}}},
            {"stage": "ClipByPercentile", "percentile": 50}
          ],
          "optimizer": {"optimizer": "ExponentialMovingAverage", "decay": 0.5, "of": "AdamW"},
          "configuration": {"parameterCopy": "bfloat16"}
        }
        """

    @Test func `a pipeline that a document describes goes on with the same bits, from wherever it was saved`() throws {
        let description = try PipelineDescription(parsing: Self.document)
        let folder = try TemporaryFolder()
        let path = folder["run.safetensors"]
        var (pipeline, parameters) = (try Pipeline(for: parameters, description), parameters)
        try train(&pipeline, &parameters, 0..<3)
        try pipeline.checkpoint(to: path, including: parameters)
        let (halfway, state) = (parameters, try pipeline.state)
        try train(&pipeline, &parameters, 3..<6)
        let checkpoint = try Checkpoint(contentsOf: path)
        var (first, second) = (TensorSet(zeros: layout), TensorSet(zeros: layout))
        let resumed: [(Pipeline, TensorSet)] = [
            (try Pipeline(resuming: state, for: halfway, description), halfway),
            (try Pipeline(resuming: path, for: halfway, description), halfway),
            (try Pipeline(resuming: path, restoring: &first, description), first),
            (try Pipeline(resuming: checkpoint, for: halfway, description), halfway),
            (try Pipeline(resuming: checkpoint, .matchingStages, restoring: &second, description), second),
        ]
        for (number, var (resumed, parametersThen)) in resumed.enumerated() {
            parametersThen = number == 2 ? first : number == 4 ? second : parametersThen
            #expect(resumed.configuration == description.configuration)
            try train(&resumed, &parametersThen, 3..<6)
            #expect(parametersThen.bits == parameters.bits, "\(number)")
            #expect(resumed.averagedParameters?.bits == pipeline.averagedParameters?.bits, "\(number)")
        }
    }

    @Test func `a chain that a document describes goes on with the same bits, from wherever it was saved`() throws {
        var description = try PipelineDescription(parsing: Self.document)
        #expect(thrownError { _ = try Chain(for: layout, description) }?.code == .invalidDocument)
        description.optimizer = nil
        #expect(thrownError { _ = try Pipeline(for: parameters, description) }?.code == .invalidDocument)
        description.configuration.parameterCopy = nil
        let path = try TemporaryFolder()
        func step(_ chain: inout Chain, _ seed: UInt64) throws -> [UInt32] {
            var gradients = TensorSet.random(layout, seed: seed)
            _ = try chain.transform(&gradients)
            return gradients.bits
        }
        var chain = try Chain(for: layout, description)
        for seed in 0..<4 as Range<UInt64> { _ = try step(&chain, seed) }
        try chain.checkpoint(to: path["chain.safetensors"])
        var resumed = [
            try Chain(resuming: chain.state, for: layout, description),
            try Chain(resuming: path["chain.safetensors"], for: layout, description),
            try Chain(resuming: Checkpoint(contentsOf: path["chain.safetensors"]), for: layout, description),
        ]
        let expected = try step(&chain, 9)
        for index in resumed.indices { #expect(try step(&resumed[index], 9) == expected) }
    }

    @Test func `another chain than was saved is refused by the description's stages`() throws {
        let description = try PipelineDescription(parsing: Self.document)
        let state = try Pipeline(for: parameters, description).state
        let other = PipelineDescription(stages: [Centralize()], optimizer: AdamW())
        #expect(thrownError { _ = try Pipeline(resuming: state, for: parameters, other) }?.code == .stateMismatch)
    }
}
