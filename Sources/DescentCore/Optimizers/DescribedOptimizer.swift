/// An optimizer whose settings can be written down in a document; see ``DescribedStage``.
public protocol DescribedOptimizer: Optimizer, Codable {
    /// What documents call the type; by default its name.
    static var typeName: String { get }
}

/// An optimizer around another one, written down with it: `{"optimizer": "Lookahead", "of": {"optimizer": "AdamW"}}`.
///
/// It codes the other one under the key `of`.
public protocol DescribedWrapper: DescribedOptimizer {
    /// The optimizer that it is around.
    associatedtype Base: DescribedOptimizer

    /// The optimizer that it is around.
    var base: Base { get }

    /// The type of the same wrapper around an optimizer of another type.
    static func around<Other: DescribedOptimizer>(_ base: Other.Type) -> any DescribedOptimizer.Type
}

extension DescribedOptimizer {
    public static var typeName: String { String(describing: Self.self) }
}
