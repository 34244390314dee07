import Descent
import ExampleSupport
import SeededNumbers

/// A run that can be killed at any instruction, and goes on from its checkpoint with the same bits.
///
/// Checkpoints fall on every place in accumulation windows. Now and then a gradient is not finite, so that windows are
/// spoiled and the loss scale moves.
struct TrainingRun {
    private let checkpoint: String
    private let result: String
    private let layout: ParameterLayout

    init(folder: String) throws {
        checkpoint = folder + "/run.safetensors"
        result = folder + "/result.safetensors"
        layout = try ParameterLayout([
            ParameterDescription("hidden.weight", shape: [37, 21]), ParameterDescription("hidden.bias", shape: [37]),
            ParameterDescription("output.weight", shape: [5, 37]), ParameterDescription("output.bias", shape: [5]),
        ])
    }

    /// Trains for a number of micro-batches, counted from the first run's beginning, and saves the parameters.
    func train(microBatches: Int, _ console: Console) throws {
        var parameters = tensors(seed: 0)
        var done = 0
        var pipeline = try Pipeline(for: parameters) {
            stages
        } driving: {
            optimizer
        }
        if let file = try? SafetensorsFile(contentsOf: checkpoint) {
            done = file.metadata["microBatches"].flatMap { Int($0) } ?? 0
            pipeline = try Pipeline(resuming: checkpoint, restoring: &parameters) {
                stages
            } driving: {
                optimizer
            }
        }
        while done < microBatches {
            done += 1
            var gradients = tensors(seed: UInt64(done))
            if done.isMultiple(of: 53) { gradients["output.bias"][done % 5] = .infinity }
            _ = try pipeline.step(&parameters, gradients: gradients, weight: Double(1 + done % 3))
            if done.isMultiple(of: 1_000) {
                console.progress("\(done) of \(microBatches) micro-batches", isMilestone: false, isLast: false)
            }
            if done.isMultiple(of: 7) || done == microBatches {
                try pipeline.checkpoint(
                    to: checkpoint, including: parameters, metadata: ["microBatches": "\(done)"])
            }
        }
        try parameters.save(to: result)
    }

    private var stages: [any Stage] {
        [
            Accumulate(steps: 4, reduction: .weighted), Unscale(.dynamic(initial: 1024, growthInterval: 5)),
            AddNoise(seed: 7), Centralize(), ClipByPercentile(50, historyLength: 20), ClipByZScore(),
        ]
    }

    private var optimizer: any Driving {
        AdamW(learningRate: .warmupCosine(peak: 0.01, warmup: 10, total: 1_000))
            .averagingParameters(decay: 0.99)
    }

    /// Numbers in -1..<1, from a seed.
    private func tensors(seed: UInt64) -> TensorSet {
        var generator = SeededGenerator(seed: seed)
        var tensors = TensorSet(zeros: layout)
        for parameter in layout {
            tensors.withMutableElements(of: parameter.name) { elements in
                for index in elements.indices { elements[index] = .random(in: -1..<1, using: &generator) }
            }
        }
        return tensors
    }
}
