/// A stage that gathers the gradients of several micro-batches into a window.
///
/// The engine keeps the sum in the stage's only slot, and the window's count in ``window``. What stands before the stage
/// works on each micro-batch, what stands behind it on the whole window, and the optimizer runs once a window.
public protocol Accumulating: GradientTransform where State == AccumulationWindow {
    /// After how many micro-batches the window closes.
    var windowLength: Int { get }

    /// What the window's sum is divided by.
    var reduction: AccumulationWindow.Reduction { get }

    /// Whether a micro-batch that is not finite is left out, instead of spoiling its window.
    var dropsNonFinite: Bool { get }
}

/// What is known of the micro-batches of an accumulation window.
public struct AccumulationWindow: Codable, Sendable, Hashable {
    /// What a window's sum is divided by.
    public enum Reduction: String, Sendable, Hashable, Codable, CaseIterable {
        /// By the number of micro-batches seen.
        case mean
        /// By 1.
        case sum
        /// By the sum of weights, each gradient having been multiplied by its own.
        case weighted
    }

    /// How many micro-batches the window has been given.
    public internal(set) var received = 0
    /// How many of them are part of the sum.
    public internal(set) var included = 0
    /// The sum of their weights.
    public internal(set) var weights = 0.0
    /// The weight of the micro-batch last admitted.
    public internal(set) var lastWeight = 1.0
    /// Why the first micro-batch that was turned down was.
    public internal(set) var rejection: SkipReason?
    /// Why the first micro-batch that was not finite is turned down, whatever others were for.
    public internal(set) var overflow: SkipReason?

    /// A window that is empty.
    public init() {}

    /// Takes in a micro-batch of a weight, such as its number of tokens; finite and at least 0.
    mutating func admit(weight: Double) {
        received += 1
        included += 1
        weights += weight
        lastWeight = weight
    }

    /// Notes why the window is less than what it was given.
    mutating func note(_ reason: SkipReason) {
        rejection = rejection ?? reason
        if reason.code == .nonFinite { overflow = overflow ?? reason }
    }

    /// What the micro-batch last admitted is multiplied by before it is added.
    func factor(_ reduction: Reduction) -> Float { reduction == .weighted ? Float(lastWeight) : 1 }

    /// What the window's sum is multiplied by when it closes.
    func closingFactor(_ reduction: Reduction) -> Double {
        switch reduction {
        case .mean: 1 / Double(included)
        case .sum: 1
        case .weighted: 1 / weights
        }
    }
}
