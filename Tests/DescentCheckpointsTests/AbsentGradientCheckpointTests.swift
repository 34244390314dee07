import Descent
import TestSupport
import Testing

/// Checkpoints of pipelines some of whose parameters had no gradients in some steps.
@Suite struct AbsentGradientCheckpointTests {
    let layout: ParameterLayout

    init() throws { layout = try makeLayout([[8, 9], [8], [5, 8], [5]]) }

    private func step(_ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ number: Int) throws {
        let gradients = TensorSet.random(layout, seed: UInt64(number) + 10)
        // The last is absent in every second window, and the first in every third micro-batch.
        let absent: Set = number % 4 < 2 ? [3] : number % 3 == 0 ? [0] : []
        for index in layout.indices where !absent.contains(index) { try pipeline.receive(gradients, of: index) }
        _ = try pipeline.step(&parameters)
    }

    @Test(arguments: 0..<7) func `a run that is resumed ends with the bits of one that was not`(_ moment: Int) throws {
        let folder = try TemporaryFolder()
        let path = folder["run.safetensors"]
        let configuration = PipelineConfiguration(missing: .skipParameter)
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters, configuration: configuration) {
            Accumulate(steps: 2)
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 0.01).averagingParameters(decay: 0.9)
        }
        for number in 0..<moment { try step(&pipeline, &parameters, number) }
        try pipeline.checkpoint(to: path, including: parameters)
        var restored = TensorSet(zeros: layout)
        var resumed = try Pipeline(resuming: path, restoring: &restored, configuration: configuration) {
            Accumulate(steps: 2)
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 0.01).averagingParameters(decay: 0.9)
        }
        for number in moment..<10 {
            try step(&pipeline, &parameters, number)
            try step(&resumed, &restored, number)
            #expect(restored.bits == parameters.bits)
        }
        #expect(try resumed.state.counters == pipeline.state.counters)
        #expect(try resumed.state.counters.missedSteps == [0, 0, 0, 3])
        #expect(resumed.averagedParameters?.bits == pipeline.averagedParameters?.bits)
    }
}
