public import DescentCore

/// A stage whose settings can be written down in a document.
///
/// Its coding is its settings and nothing else. Where all stored properties are settings, the compiler writes it:
/// ```swift
/// struct GradientNoise: DescribedTransform {
///     var deviation: Float
///     func transform(_ block: inout some GradientBlock) { … }
/// }
/// ```
/// A stage that also remembers something lists its settings in `CodingKeys`. To let settings be left out, implement
/// `init(from:)` with `value(_:or:)`.
public protocol DescribedStage: Stage, Codable {}

/// A transform whose settings can be written down in a document; see ``DescribedStage``.
public typealias DescribedTransform = DescribedStage & GradientTransform

/// An optimizer whose settings can be written down in a document; see ``DescribedStage``.
public protocol DescribedOptimizer: Optimizer, Codable {}

extension KeyedDecodingContainer {
    /// A setting, or what it is where it has been left out.
    ///
    /// - Throws: `DecodingError` if it is there and is something else than it should.
    public func value<Value: Decodable>(_ key: Key, or usual: @autoclosure () -> Value) throws -> Value {
        try decodeIfPresent(Value.self, forKey: key) ?? usual()
    }
}
