import Descent
import DigitsModel

/// One way to train: what gradients are rounded to, and what they then go through.
struct Variant: Sendable {
    /// The variant in a few words.
    let name: String
    /// What gradients are rounded to.
    let precision: Precision
    /// Builds the chain and the optimizer for some parameters.
    let makePipeline: @Sendable (TensorSet) throws(DescentError) -> Pipeline

    private static let learningRate = 0.003
    /// Too high at first, so that it backs off; it grows again as gradients become smaller.
    private static let lossScale = LossScale.dynamic(initial: 16_777_216, growthInterval: 500)

    /// Full precision, an optimizer alone.
    static let single = Variant(name: "float32", precision: .float32) { parameters throws(DescentError) in
        try Pipeline(for: parameters) {
        } driving: {
            AdamW(learningRate: .constant(learningRate))
        }
    }

    /// Half-precision gradients, taken as they come.
    static let half = Variant(name: "Float16", precision: .float16) { parameters throws(DescentError) in
        try Pipeline(for: parameters) {
        } driving: {
            AdamW(learningRate: .constant(learningRate))
        }
    }

    /// Half-precision gradients of a loss that is scaled up.
    static let scaledHalf = Variant(name: "Float16, loss scale", precision: .float16) {
        parameters throws(DescentError) in
        try Pipeline(for: parameters) {
            Unscale(lossScale)
        } driving: {
            AdamW(learningRate: .constant(learningRate))
        }
    }

    /// All of it: micro-batches gathered, unscaled, centralized, clipped twice, and a schedule for the rate.
    ///
    /// - Parameters:
    ///   - microBatchCount: How many the whole training has, so that the schedule ends with it.
    ///   - moments: How AdamW's moments are stored.
    /// - Returns: The variant.
    static func chain(microBatchCount: Int, moments: ElementType = .float32) -> Variant {
        let window = 4
        let steps = microBatchCount / window
        return Variant(name: "Float16, full chain", precision: .float16) { parameters throws(DescentError) in
            try Pipeline(for: parameters) {
                Accumulate(steps: window, reduction: .weighted)
                Unscale(lossScale)
                Centralize()
                ClipByGlobalNorm(0.5)
                ClipLayerwise(default: 0.4)
            } driving: {
                AdamW(
                    learningRate: .warmupCosine(peak: 2 * learningRate, warmup: steps / 20, total: steps),
                    moments: moments)
            }
        }
    }
}
