/// An optimizer whose settings can be written down in a document; see ``DescribedStage``.
public protocol DescribedOptimizer: Optimizer, Codable {
    /// What documents call the type; by default its name.
    static var typeName: String { get }
}

extension DescribedOptimizer {
    public static var typeName: String { String(describing: Self.self) }
}
