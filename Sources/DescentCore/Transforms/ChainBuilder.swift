/// Builds a chain of stages, read from top to bottom in the order in which gradients flow.
///
/// Conditions and loops may decide which stages take part; branches may hold stages of different types.
@resultBuilder
public enum ChainBuilder {
    /// A single stage.
    public static func buildExpression(_ stage: any GradientTransform) -> [any GradientTransform] { [stage] }
    /// Several stages, made elsewhere.
    public static func buildExpression(_ stages: [any GradientTransform]) -> [any GradientTransform] { stages }
    /// Stages in sequence.
    public static func buildBlock(_ parts: [any GradientTransform]...) -> [any GradientTransform] {
        parts.flatMap { $0 }
    }
    /// An `if` without `else`.
    public static func buildOptional(_ part: [any GradientTransform]?) -> [any GradientTransform] { part ?? [] }
    /// The first branch of an `if`.
    public static func buildEither(first part: [any GradientTransform]) -> [any GradientTransform] { part }
    /// The second branch of an `if`.
    public static func buildEither(second part: [any GradientTransform]) -> [any GradientTransform] { part }
    /// A `for` loop.
    public static func buildArray(_ parts: [[any GradientTransform]]) -> [any GradientTransform] {
        parts.flatMap { $0 }
    }
    /// Stages behind an availability condition.
    public static func buildLimitedAvailability(_ part: [any GradientTransform]) -> [any GradientTransform] { part }
}
