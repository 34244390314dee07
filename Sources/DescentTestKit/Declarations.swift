/// What a stage, an optimizer or a backend does on purpose, so that the kit does not object to it.
public struct Declarations: OptionSet, Sendable {
    public let rawValue: Int

    /// Declarations by their bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// It may make NaN from finite gradients, such as by subtracting infinities that it overflowed to.
    public static let makesNaN = Declarations(rawValue: 1)
    /// It may put finite numbers in the place of NaN without saying that it repairs gradients.
    ///
    /// This matters in pipelines that propagate NaN; in all others no NaN reaches a stage that does not repair it.
    public static let hidesNaN = Declarations(rawValue: 2)
    /// What it does to a tensor depends on the tensor's place in the layout, as noise does that is made of it.
    public static let dependsOnTensorOrder = Declarations(rawValue: 4)
    /// It may allocate memory in any step.
    public static let allocates = Declarations(rawValue: 8)
}
