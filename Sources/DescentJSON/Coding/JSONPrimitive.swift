/// A type whose values are one JSON value each, in both directions without loss.
protocol JSONPrimitive {
    /// What is expected of a JSON value, for messages: "a whole number from 0 to 255".
    static var expectation: String { get }

    /// The value as JSON.
    var json: JSON { get }

    /// The value that JSON stands for; nil if it is of another kind or does not fit.
    init?(json: JSON)
}

extension Bool: JSONPrimitive {
    static var expectation: String { "true or false" }
    var json: JSON { .bool(self) }

    init?(json: JSON) {
        guard case .bool(let value) = json else { return nil }
        self = value
    }
}

extension String: JSONPrimitive {
    static var expectation: String { "a string" }
    var json: JSON { .string(self) }

    init?(json: JSON) {
        guard case .string(let value) = json else { return nil }
        self = value
    }
}

extension JSONPrimitive where Self: FixedWidthInteger {
    static var expectation: String { "a whole number from \(min) to \(max)" }
    var json: JSON { .number(JSON.Number(self)) }

    init?(json: JSON) {
        guard case .number(let number) = json, let value = number.integer(Self.self) else { return nil }
        self = value
    }
}

extension Int: JSONPrimitive {}
extension Int8: JSONPrimitive {}
extension Int16: JSONPrimitive {}
extension Int32: JSONPrimitive {}
extension Int64: JSONPrimitive {}
extension UInt: JSONPrimitive {}
extension UInt8: JSONPrimitive {}
extension UInt16: JSONPrimitive {}
extension UInt32: JSONPrimitive {}
extension UInt64: JSONPrimitive {}

extension JSONPrimitive where Self: BinaryFloatingPoint {
    static var expectation: String { "a number, \"NaN\", \"Infinity\" or \"-Infinity\"" }

    /// The number that a string stands for, where JSON has no number for it.
    fileprivate init?(name: String) {
        switch name {
        case "NaN": self = .nan
        case "Infinity": self = .infinity
        case "-Infinity": self = -.infinity
        default: return nil
        }
    }

    /// What stands for a number that JSON lacks.
    fileprivate var nonFiniteName: String { isNaN ? "NaN" : self < 0 ? "-Infinity" : "Infinity" }
}

extension Float: JSONPrimitive {
    var json: JSON { JSON.Number(self).map { .number($0) } ?? .string(nonFiniteName) }

    init?(json: JSON) {
        switch json {
        case .number(let number):
            guard let value = number.float else { return nil }
            self = value
        case .string(let name): self.init(name: name)
        default: return nil
        }
    }
}

extension Double: JSONPrimitive {
    var json: JSON { JSON.Number(self).map { .number($0) } ?? .string(nonFiniteName) }

    init?(json: JSON) {
        switch json {
        case .number(let number):
            guard let value = number.double else { return nil }
            self = value
        case .string(let name): self.init(name: name)
        default: return nil
        }
    }
}
