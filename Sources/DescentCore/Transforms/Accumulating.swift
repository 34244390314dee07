/// A stage that gathers the gradients of several micro-batches into a window.
///
/// The engine keeps the sum in the stage's only slot. What stands before the stage works on each micro-batch, what
/// stands behind it on the whole window, and the optimizer runs once a window.
public protocol Accumulating: GradientTransform {
    /// Takes in a micro-batch; called before its sweep.
    ///
    /// - Parameter weight: The micro-batch's weight, such as its number of tokens; finite and at least 0.
    mutating func admit(weight: Double)

    /// What the micro-batch last admitted is multiplied by before it is added.
    var factor: Float { get }

    /// What the window's sum is multiplied by when it closes.
    var closingFactor: Float { get }

    /// How many micro-batches the window has been given.
    var received: Int { get }

    /// How many of them are part of the sum.
    var included: Int { get }

    /// The sum of their weights.
    var includedWeight: Double { get }

    /// After how many micro-batches the window closes.
    var windowLength: Int { get }

    /// Whether a micro-batch that is not finite is left out, instead of spoiling its window.
    var dropsNonFinite: Bool { get }

    /// Whether a micro-batch was turned down before it could be added, so that the window has to be skipped.
    var spoiled: SkipReason? { get }

    /// Leaves out the micro-batch last admitted, because of something found in it before it was added.
    mutating func reject(_ reason: SkipReason)
}
