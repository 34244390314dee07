/// What a pipeline does about parameters whose gradients are not handed over in a step.
///
/// A backward pass may leave some out: an expert that no token reached, a branch of the model that was not taken. In a
/// window of several micro-batches, a gradient that is absent in some of them counts as zeros there. A micro-batch without
/// any gradient is refused in any case.
public enum MissingGradients: String, Sendable, Hashable, Codable, CaseIterable {
    /// The step is refused with an error that names the first of them, before anything has changed.
    case refuse
    /// They take no part in the step, as in PyTorch where `grad` is `None`.
    ///
    /// They do not count in norms and are not moved; their slots and averages stay as they are. Bias corrections and all
    /// else that counts the updates of a parameter leave the step out for them.
    case skipParameter
    /// Their gradients are zeros, so that momentum and weight decay go on.
    case zero
}
