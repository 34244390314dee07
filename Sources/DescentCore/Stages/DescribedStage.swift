/// A stage whose settings can be written down in a document.
///
/// Its coding is its settings and nothing else. Where all stored properties are settings, the compiler writes it:
/// ```swift
/// struct GradientNoise: DescribedTransform {
///     var deviation: Float
///     func transform(_ block: inout some GradientBlock) { … }
/// }
/// ```
/// A stage that also remembers something lists its settings as `CodingKeys`, and one that lets settings be left out reads
/// them with `value(_:or:)`:
/// ```swift
/// extension ClipByNorm: DescribedStage {
///     private enum CodingKeys: CodingKey { case maximum, epsilon }
///
///     public init(from decoder: any Decoder) throws {
///         let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self(1))
///         try self.init(settings.value(.maximum), epsilon: settings.value(.epsilon, or: usual.epsilon))
///     }
/// }
/// ```
public protocol DescribedStage: Stage, Codable {
    /// What documents call the type; by default its name.
    static var typeName: String { get }
}

/// A transform whose settings can be written down in a document; see ``DescribedStage``.
public typealias DescribedTransform = DescribedStage & GradientTransform

extension DescribedStage {
    public static var typeName: String { String(describing: Self.self) }
    public var savedSettings: (any ComponentState)? { LiveState(value: self) }
    public mutating func adopt(_ settings: any ComponentState) throws { self = try settings.value(as: Self.self) }
}

extension KeyedDecodingContainer {
    /// A setting that cannot be left out.
    ///
    /// - Throws: `DecodingError` if it is not there, or is something else than it should be.
    public func value<Value: Decodable>(_ key: Key) throws -> Value { try decode(Value.self, forKey: key) }

    /// A setting, or what it is where it has been left out.
    ///
    /// - Throws: `DecodingError` if it is there and is something else than it should be.
    public func value<Value: Decodable>(_ key: Key, or usual: @autoclosure () -> Value) throws -> Value {
        try decodeIfPresent(Value.self, forKey: key) ?? usual()
    }
}
