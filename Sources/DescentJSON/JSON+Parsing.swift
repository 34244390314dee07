public import DescentErrors

extension JSON {
    /// Parses a text, strictly as RFC 8259 defines JSON.
    ///
    /// - Throws: `DescentError` with code `invalidJSON` and the line and column, for what is not JSON,
    ///   not UTF-8, nested more than ``maximumDepth`` deep, for a key that is in one object twice (or is canonically
    ///   equivalent to another), and for anything but white space after the value.
    /// - Complexity: O(n) in time and memory.
    public init(parsing text: String) throws(DescentError) {
        try self.init(parsing: Array(text.utf8))
    }

    /// Parses UTF-8 text; see ``init(parsing:)-(String)``.
    public init(parsing bytes: [UInt8]) throws(DescentError) {
        self = try bytes.span.withUnsafeBytes { bytes throws(DescentError) in try JSON(parsing: bytes) }
    }

    /// Parses UTF-8 text in memory of the caller's, for the duration of the call; see ``init(parsing:)-(String)``.
    public init(parsing bytes: UnsafeRawBufferPointer) throws(DescentError) {
        var reader = JSONReader(bytes)
        try self.init(reading: &reader)
        try reader.readEnd()
    }

    /// Reads the value that comes next.
    package init(reading reader: inout JSONReader) throws(DescentError) {
        switch try reader.nextKind() {
        case .null:
            try reader.readNull()
            self = .null
        case .bool: self = .bool(try reader.readBool())
        case .number: self = .number(try reader.readNumber())
        case .string: self = .string(try reader.readString())
        case .array:
            var elements: [JSON] = []
            try reader.readArray { reader throws(DescentError) in elements.append(try JSON(reading: &reader)) }
            self = .array(elements)
        case .object:
            var object = Object()
            try reader.readObject { reader, key throws(DescentError) in object[key] = try JSON(reading: &reader) }
            self = .object(object)
        }
    }
}
