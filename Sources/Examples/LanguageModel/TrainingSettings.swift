package import Descent
import SeededNumbers

/// How a transformer is trained.
package struct TrainingSettings: Sendable {
    /// After how many updates training ends.
    package var stepCount = 600
    /// How many micro-batches make an update.
    package var microBatchesPerStep = 4
    /// How many passages one forward and backward pass takes.
    package var passagesPerMicroBatch = 4
    /// What passages and initial parameters are drawn from.
    package var seed: UInt64 = 2_026
    /// What activations and gradients are kept in.
    package var precision = Precision.float16
    /// How large the model is.
    package var shape = ModelShape()

    /// The usual settings.
    package init() {}

    /// The batch of a number: the same whenever training comes to it.
    func batch(_ number: Int, of corpus: Corpus) -> Batch {
        var generator = SeededGenerator(seed: seed &+ 1 &+ UInt64(number))
        return corpus.passages(passagesPerMicroBatch, context: shape.context, using: &generator)
    }

    /// What gradients go through: micro-batches count by their tokens.
    package var stages: [any Stage] {
        [
            Accumulate(steps: microBatchesPerStep, reduction: .weighted),
            Unscale(.dynamic(growthInterval: 200)),
            ClipByGlobalNorm(1),
        ]
    }

    /// What they drive, and what follows the parameters.
    package var optimizer: any Driving {
        AdamW(
            learningRate: .warmupCosine(
                peak: 4e-3, warmup: max(1, stepCount / 16), total: stepCount, end: 4e-5),
            beta2: 0.98, weightDecay: 0.1, groups: [.vectorsWithoutDecay]
        ).averagingParameters(decay: 0.98)
    }

    /// What a checkpoint has to say of them.
    var metadata: [String: String] { ["steps": "\(stepCount)", "seed": "\(seed)"] }

    /// The settings of a checkpoint.
    package init(_ checkpoint: Checkpoint) {
        stepCount = checkpoint.metadata["steps"].flatMap { Int($0) } ?? stepCount
        seed = checkpoint.metadata["seed"].flatMap { UInt64($0) } ?? seed
    }
}
