/// What becomes of a micro-batch or a window.
enum StepAction {
    /// It becomes part of a window that stays open, unless it has already or is left out for a reason.
    case accumulate(WindowAddition?, rejection: SkipReason?)
    /// Nothing is; if the last micro-batch has yet to be added, because stages in front of the window remember it.
    case skip(SkipReason, rest: WindowAddition? = nil)
    case update(ClosingWindow)
}

/// What is known of a window when it is about to be closed.
struct ClosingWindow {
    /// How the last micro-batch is added to the sum in every sweep; nil if it is already, or left out.
    var addition: WindowAddition?
    /// What the sum is multiplied by; nil where the gradients themselves are the window.
    var factor: Double?
    /// Whether the first sweep has run, as gradients arrived.
    var isBegun = false
    /// The weight of the gradients, where nothing accumulates.
    var weight = 1.0
    /// Whether other processes have been given the window, as gradients arrived.
    var isContributed = false
}
