/// Builds a chain of stages, read from top to bottom in the order in which gradients flow.
///
/// Conditions and loops may decide which stages take part; branches may hold stages of different types.
@resultBuilder
public enum ChainBuilder {
    /// A single stage.
    public static func buildExpression(_ stage: any Stage) -> [any Stage] { [stage] }
    /// Several stages, made elsewhere.
    public static func buildExpression(_ stages: [any Stage]) -> [any Stage] { stages }
    /// Stages in sequence.
    public static func buildBlock(_ parts: [any Stage]...) -> [any Stage] {
        parts.flatMap { $0 }
    }
    /// An `if` without `else`.
    public static func buildOptional(_ part: [any Stage]?) -> [any Stage] { part ?? [] }
    /// The first branch of an `if`.
    public static func buildEither(first part: [any Stage]) -> [any Stage] { part }
    /// The second branch of an `if`.
    public static func buildEither(second part: [any Stage]) -> [any Stage] { part }
    /// A `for` loop.
    public static func buildArray(_ parts: [[any Stage]]) -> [any Stage] {
        parts.flatMap { $0 }
    }
    /// Stages behind an availability condition.
    public static func buildLimitedAvailability(_ part: [any Stage]) -> [any Stage] { part }
}
