import Descent
import ExampleSupport

/// One way to train: what the gradients go through, and how many sequences one backward pass takes.
struct Variant: Sendable {
    /// What the variant is, in a few words.
    let name: String
    /// How many sequences one backward pass takes.
    let microBatchSize: Int
    /// Whether a stage clips.
    let clips: Bool
    /// How its curves look.
    let style: CurveStyle
    /// Builds the chain and the optimizer.
    let makePipeline: @Sendable (TensorSet) throws(DescentError) -> Pipeline

    /// The norm that clipped gradients keep.
    static let maximumNorm: Float = 1
    private static let learningRate: Schedule = 0.01

    /// AdamW behind a clip of the whole gradient.
    static let clipped = clipped(moments: .float32)

    /// The same, with AdamW's moments stored in a type.
    static func clipped(moments: ElementType) -> Variant {
        Variant(
            name: "AdamW, clipped", microBatchSize: Training.batchSize, clips: true, style: .clipped
        ) { parameters throws(DescentError) in
            try Pipeline(for: parameters) {
                ClipByGlobalNorm(maximumNorm)
            } driving: {
                AdamW(learningRate: learningRate, moments: moments)
            }
        }
    }

    /// The same on quarters of a batch, gathered before they are clipped.
    static let accumulated = Variant(
        name: "AdamW, clipped, in quarters", microBatchSize: Training.batchSize / 4, clips: true,
        style: .accumulated
    ) { parameters throws(DescentError) in
        try Pipeline(for: parameters) {
            Accumulate(steps: 4)
            ClipByGlobalNorm(maximumNorm)
        } driving: {
            AdamW(learningRate: learningRate)
        }
    }

    /// AdamW with gradients as they come.
    static let unclipped = Variant(
        name: "AdamW, not clipped", microBatchSize: Training.batchSize, clips: false, style: .unclipped
    ) { parameters throws(DescentError) in
        try Pipeline(for: parameters) {
        } driving: {
            AdamW(learningRate: learningRate)
        }
    }

    /// Gradient descent at its plainest, with gradients as they come.
    static let plain = Variant(
        name: "SGD, not clipped", microBatchSize: Training.batchSize, clips: false, style: .plain
    ) { parameters throws(DescentError) in
        try Pipeline(for: parameters) {
        } driving: {
            SGD(learningRate: learningRate)
        }
    }
}
