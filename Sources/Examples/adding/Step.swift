import Descent

/// What one step of a training was like.
struct Step {
    /// The mean squared error on its batch, before the step.
    let loss: Double
    /// The norm of the batch's gradient as the chain got it; not finite where the gradient is not.
    let gradientNorm: Double
    /// Whether a stage clipped it.
    var isClipped = false
    /// Why the step was skipped; nil if it updated the parameters.
    var skip: SkipReason?
    /// Whether any bit of the parameters changed.
    let changedParameters: Bool
}
