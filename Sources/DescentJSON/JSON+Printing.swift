extension JSON: CustomStringConvertible {
    /// The value as text without white space; the same value always gives the same text.
    public var description: String { text(spaced: false) }

    /// The value as text for people: what fits on a line is on one, anything else has a line for each part.
    public func formatted(columns: Int = 100) -> String {
        var text = ""
        writeLines(to: &text, indentation: 0, columns: columns)
        return text
    }

    private func text(spaced: Bool) -> String {
        var bytes: [UInt8] = []
        write(to: &bytes, spaced: spaced)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func write(to bytes: inout [UInt8], spaced: Bool) {
        switch self {
        case .null: bytes.append(ascii: "null")
        case .bool(let value): bytes.append(ascii: value ? "true" : "false")
        case .number(let number): bytes.append(contentsOf: number.literal.utf8)
        case .string(let string): bytes.append(json: string)
        case .array(let elements):
            bytes.append(ascii: "[")
            for (position, element) in elements.enumerated() {
                if position > 0 { bytes.append(ascii: spaced ? ", " : ",") }
                element.write(to: &bytes, spaced: spaced)
            }
            bytes.append(ascii: "]")
        case .object(let object):
            bytes.append(ascii: "{")
            for (position, member) in object.enumerated() {
                if position > 0 { bytes.append(ascii: spaced ? ", " : ",") }
                bytes.append(json: member.key)
                bytes.append(ascii: spaced ? ": " : ":")
                member.value.write(to: &bytes, spaced: spaced)
            }
            bytes.append(ascii: "}")
        }
    }

    private func writeLines(to text: inout String, indentation: Int, columns: Int) {
        let line = self.text(spaced: true)
        if line.count + indentation <= columns || isLeaf {
            text += line
            return
        }
        let (opening, closing) = array == nil ? ("{", "}") : ("[", "]")
        text += opening
        let members = object.map { $0.map { ($0.key as String?, $0.value) } } ?? (array ?? []).map { (nil, $0) }
        for (position, member) in members.enumerated() {
            text += (position == 0 ? "\n" : ",\n") + String(repeating: " ", count: indentation + 2)
            if let key = member.0 {
                text += JSON.string(key).description + ": "
            }
            member.1.writeLines(to: &text, indentation: indentation + 2, columns: columns)
        }
        text += "\n" + String(repeating: " ", count: indentation) + closing
    }

    private var isLeaf: Bool { array == nil && object == nil }
}

extension [UInt8] {
    /// Appends text of ASCII characters.
    package mutating func append(ascii text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a whole number.
    package mutating func append(json number: Int) { append(contentsOf: String(number).utf8) }

    /// Appends integers as a JSON array.
    package mutating func append(json numbers: [Int]) {
        append(UInt8(ascii: "["))
        for (index, number) in numbers.enumerated() {
            if index > 0 { append(UInt8(ascii: ",")) }
            append(json: number)
        }
        append(UInt8(ascii: "]"))
    }

    /// Appends a string as JSON has it: in quotation marks, with what has to be escaped escaped.
    package mutating func append(json string: String) {
        append(UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { bytes in
            var done = 0
            for (index, byte) in bytes.enumerated()
            where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                append(contentsOf: UnsafeBufferPointer(rebasing: bytes[done..<index]))
                append(escaping: byte)
                done = index + 1
            }
            append(contentsOf: UnsafeBufferPointer(rebasing: bytes[done...]))
        }
        append(UInt8(ascii: "\""))
    }

    private mutating func append(escaping byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\n"): append(ascii: "\\n")
        case UInt8(ascii: "\r"): append(ascii: "\\r")
        case UInt8(ascii: "\t"): append(ascii: "\\t")
        case 0x08: append(ascii: "\\b")
        case 0x0c: append(ascii: "\\f")
        case 0..<0x20:
            append(ascii: byte < 16 ? "\\u000" : "\\u00")
            append(contentsOf: String(byte, radix: 16).utf8)
        default:
            append(UInt8(ascii: "\\"))
            append(byte)
        }
    }
}
