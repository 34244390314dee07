/// What a stage is told at the end of a step.
public struct StepResult {
    /// Why the step was skipped; nil if it was applied.
    public let skipReason: SkipReason?
    /// Why gradients of the window were not finite, or those of a micro-batch that was left out of it; nil if all were.
    ///
    /// A loss scale backs off for it, whether the rest of the window was applied or not.
    public let nonFiniteReason: SkipReason?
    /// The parameter that the update made NaN or infinite; nil if none.
    public let divergedParameter: String?
    /// What the stage required or observed of the gradient that reached it.
    ///
    /// In a skipped step it may hold numbers that are not finite. In front of an accumulation it is of the last
    /// micro-batch; all 0 where a flush closes a window without one since a state was resumed or a setting changed.
    public package(set) var incoming: GradientStatistics

    /// Whether the step was applied.
    public var isApplied: Bool { skipReason == nil }
}
