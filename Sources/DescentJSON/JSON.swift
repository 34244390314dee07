import DescentErrors

/// A JSON value, as RFC 8259 defines it.
///
/// Numbers keep the text that they are written in, so that no integer and no float loses a bit; objects keep the order
/// of their members. Two values are equal if they are written alike: `1` and `1.0` are not, nor are objects whose
/// members come in another order.
/// ```swift
/// let json = try JSON(parsing: #"{"stage": "ClipByGlobalNorm", "maximumNorm": 1}"#)
/// json["maximumNorm"]  // 1
/// ```
public enum JSON: Sendable, Hashable {
    /// The word `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number, by its text.
    case number(Number)
    /// Text.
    case string(String)
    /// Values in order.
    case array([JSON])
    /// Values by name, in order.
    case object(Object)

    /// How deep arrays and objects may be nested in each other, in a text to be parsed and in a value to be encoded.
    public static let maximumDepth = 64

    /// The member of an object with a name; nil if there is none, or if the value is no object.
    public subscript(key: String) -> JSON? { object?[key] }

    /// The element of an array at a position; nil if there is none, or if the value is no array.
    public subscript(position: Int) -> JSON? {
        guard case .array(let elements) = self, elements.indices.contains(position) else { return nil }
        return elements[position]
    }

    /// The text of a string; nil if the value is none.
    public var string: String? { if case .string(let string) = self { string } else { nil } }

    /// The elements of an array; nil if the value is none.
    public var array: [JSON]? { if case .array(let elements) = self { elements } else { nil } }

    /// The members of an object; nil if the value is none.
    public var object: Object? { if case .object(let object) = self { object } else { nil } }

    /// What kind of value it is, for messages: "a string".
    var kind: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let number): number.literal.utf8.count <= 40 ? number.literal : "a number"
        case .string(let string): string.utf8.count <= 40 ? JSON.string(string).description : "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }

    public init(booleanLiteral value: Bool) { self = .bool(value) }

    public init(integerLiteral value: Int) { self = .number(Number(value)) }

    public init(stringLiteral value: String) { self = .string(value) }

    public init(arrayLiteral elements: JSON...) { self = .array(elements) }

    /// An object with the members of a dictionary literal, in its order.
    ///
    /// - Precondition: No key is there twice.
    public init(dictionaryLiteral members: (String, JSON)...) {
        var object = Object()
        for (key, value) in members {
            stopUnless(object[key] == nil, "The key \"\(key)\" is in the literal twice.")
            object[key] = value
        }
        self = .object(object)
    }
}
