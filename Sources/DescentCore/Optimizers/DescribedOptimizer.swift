/// An optimizer whose settings can be written down in a document; see ``DescribedStage``.
public protocol DescribedOptimizer: Optimizer, Codable {
    /// What documents call the type; by default its name.
    static var typeName: String { get }
}

extension DescribedOptimizer {
    public static var typeName: String { String(describing: Self.self) }
    public var savedSettings: (any ComponentState)? { LiveState(value: self) }
    public mutating func adopt(_ settings: any ComponentState) throws { self = try settings.value(as: Self.self) }
}
