package import DescentErrors

/// Reads JSON text token by token, strictly as RFC 8259 defines it, without a tree of values in memory.
///
/// It refuses what is not UTF-8, halves of surrogate pairs, keys that are there twice and nesting deeper than
/// ``JSON/maximumDepth``. The bytes have to stay where they are while it reads.
package struct JSONReader {
    /// What kind of value begins at a place.
    package enum Kind { case null, bool, number, string, array, object }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var depth = 0

    /// A reader at the start of a text.
    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// What kind of value comes next.
    ///
    /// - Throws: ``DescentError`` with code `invalidJSON` if none can begin here.
    package mutating func nextKind() throws(DescentError) -> Kind {
        skipWhitespace()
        guard let byte else { throw unexpected("a value") }
        switch byte {
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw unexpected("a value")
        }
    }

    /// Reads `null`.
    package mutating func readNull() throws(DescentError) { try read(word: "null") }

    /// Reads `true` or `false`.
    package mutating func readBool() throws(DescentError) -> Bool {
        skipWhitespace()
        let value = byte == UInt8(ascii: "t")
        try read(word: value ? "true" : "false")
        return value
    }

    /// Reads a number.
    package mutating func readNumber() throws(DescentError) -> JSON.Number {
        skipWhitespace()
        let start = position
        _ = skip("-")
        if !skip("0") { try skipDigits() }
        if skip(".") { try skipDigits() }
        if skip("e") || skip("E") {
            if !skip("+") { _ = skip("-") }
            try skipDigits()
        }
        return JSON.Number(
            unchecked: String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self))
    }

    /// Reads an array: calls a closure where each element begins, to read it.
    package mutating func readArray(
        _ readElement: (inout JSONReader) throws(DescentError) -> Void
    ) throws(DescentError) {
        try begin("[")
        defer { depth -= 1 }
        skipWhitespace()
        if skip("]") { return }
        repeat {
            try readElement(&self)
            skipWhitespace()
        } while skip(",")
        guard skip("]") else { throw unexpected("\",\" or \"]\"") }
    }

    /// Reads an object: calls a closure with each key, where its value begins, to read it.
    package mutating func readObject(
        _ readMember: (inout JSONReader, String) throws(DescentError) -> Void
    ) throws(DescentError) {
        var keys: Set<String> = []
        try readMembers { reader, key, start throws(DescentError) in
            guard keys.insert(key).inserted else {
                throw reader.error("the key \(key.quotedBriefly) is there twice", at: start)
            }
            try readMember(&reader, key)
        }
    }

    /// Reads an object: calls a closure with each key and its place, where its value begins, to read it.
    private mutating func readMembers(
        _ readMember: (inout JSONReader, String, Int) throws(DescentError) -> Void
    ) throws(DescentError) {
        try begin("{")
        defer { depth -= 1 }
        skipWhitespace()
        if skip("}") { return }
        repeat {
            skipWhitespace()
            let start = position
            guard byte == UInt8(ascii: "\"") else { throw unexpected("a key in quotation marks") }
            let key = try readString()
            skipWhitespace()
            guard skip(":") else { throw unexpected("\":\"") }
            try readMember(&self, key, start)
            skipWhitespace()
        } while skip(",")
        guard skip("}") else { throw unexpected("\",\" or \"}\"") }
    }

    /// Reads a value of any kind, and forgets it; keys that are there twice are forgotten, too.
    package mutating func skipValue() throws(DescentError) {
        switch try nextKind() {
        case .null: try readNull()
        case .bool: _ = try readBool()
        case .number: _ = try readNumber()
        case .string: _ = try readString()
        case .array: try readArray { reader throws(DescentError) in try reader.skipValue() }
        case .object: try readMembers { reader, _, _ throws(DescentError) in try reader.skipValue() }
        }
    }

    /// Refuses anything but white space in the rest of the text.
    package mutating func readEnd() throws(DescentError) {
        skipWhitespace()
        guard position == bytes.count else { throw unexpected("the end of the text") }
    }

    /// An error at the place that has been reached: "line 1, column 5: " and a message.
    package func error(_ message: String) -> DescentError { error(message, at: position) }
}

// MARK: Strings

extension JSONReader {
    /// Reads a string.
    package mutating func readString() throws(DescentError) -> String {
        skipWhitespace()
        let start = position
        guard skip("\"") else { throw unexpected("a string") }
        let plain = skipPlainText()
        var text: String?
        if byte == UInt8(ascii: "\"") {
            text = String(validating: UnsafeRawBufferPointer(rebasing: bytes[plain]), as: UTF8.self)
        } else {
            var units = Array(bytes[plain])
            while byte != UInt8(ascii: "\"") {
                guard skip("\\") else { throw unexpected("the end of a string") }
                try readEscape(into: &units)
                units += bytes[skipPlainText()]
            }
            text = String(validating: units, as: UTF8.self)
        }
        position += 1
        guard let text else { throw error("the string that begins here is not UTF-8", at: start) }
        return text
    }

    /// Goes on to the next quotation mark, backslash, control character or the end.
    private mutating func skipPlainText() -> Range<Int> {
        let start = position
        while let byte, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { position += 1 }
        return start..<position
    }

    /// Reads what follows a backslash.
    private mutating func readEscape(into units: inout [UInt8]) throws(DescentError) {
        let start = position - 1
        guard let letter = byte else { throw unexpected("a letter after \"\\\"") }
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(letter)
        case UInt8(ascii: "b"): units.append(0x08)
        case UInt8(ascii: "f"): units.append(0x0c)
        case UInt8(ascii: "n"): units.append(0x0a)
        case UInt8(ascii: "r"): units.append(0x0d)
        case UInt8(ascii: "t"): units.append(0x09)
        case UInt8(ascii: "u"):
            let first = try readHexadecimal()
            var value = UInt32(first)
            if UTF16.isLeadSurrogate(first), skip("\\") {
                guard skip("u") else { throw unexpected("the second half of a surrogate pair") }
                let second = try readHexadecimal()
                guard UTF16.isTrailSurrogate(second) else {
                    throw error("this is half of a surrogate pair, without the other half", at: start)
                }
                value = 0x10000 + (UInt32(first & 0x3ff) << 10 | UInt32(second & 0x3ff))
            }
            guard let scalar = Unicode.Scalar(value) else {
                throw error("this is half of a surrogate pair, without the other half", at: start)
            }
            units += Array(String(Character(scalar)).utf8)
        default:
            throw error("there is no such escape; known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u0000", at: start)
        }
    }

    private mutating func readHexadecimal() throws(DescentError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = byte.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) else {
                throw unexpected("four hexadecimal digits")
            }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }
}

// MARK: Bytes

extension JSONReader {
    /// The next byte; nil at the end.
    ///
    /// All access goes through here, so that none is out of bounds.
    private var byte: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard byte == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipWhitespace() {
        while let byte, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    private mutating func skipDigits() throws(DescentError) {
        let start = position
        while let byte, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
        guard position > start else { throw unexpected("a digit") }
    }

    private mutating func read(word: StaticString) throws(DescentError) {
        skipWhitespace()
        for offset in 0..<word.utf8CodeUnitCount {
            guard byte == word.utf8Start[offset] else { throw unexpected("\"\(word)\"") }
            position += 1
        }
    }

    private mutating func begin(_ bracket: Unicode.Scalar) throws(DescentError) {
        skipWhitespace()
        guard byte == UInt8(ascii: bracket) else { throw unexpected("\"\(bracket)\"") }
        guard depth < JSON.maximumDepth else {
            throw error("arrays and objects are nested more than \(JSON.maximumDepth) deep")
        }
        position += 1
        depth += 1
    }

    private func unexpected(_ expectation: String) -> DescentError {
        let found =
            switch byte {
            case nil: "the end of the text"
            case let byte? where 0x20..<0x7f ~= byte: "\"\(Unicode.Scalar(byte))\""
            case let byte?: "the byte 0x\(byte < 16 ? "0" : "")\(String(byte, radix: 16))"
            }
        return error("expected \(expectation), found \(found)", at: position)
    }

    private func error(_ message: String, at place: Int) -> DescentError {
        let before = bytes[..<place]
        let lineStart = (before.lastIndex(of: 0x0a) ?? -1) + 1
        let line = before.count { $0 == 0x0a } + 1
        // Bytes that continue a character are not counted.
        let column = before[lineStart...].count { $0 & 0xc0 != 0x80 } + 1
        return DescentError(.invalidJSON, "line \(line), column \(column): \(message)")
    }
}
