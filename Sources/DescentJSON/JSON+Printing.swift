extension JSON: CustomStringConvertible {
    /// The value as text without white space; the same value always gives the same text.
    public var description: String {
        var text = ""
        write(to: &text)
        return text
    }

    /// The value as text for people: what fits on a line is on one, anything else has a line for each part.
    public func formatted(columns: Int = 100) -> String {
        var text = ""
        writeLines(to: &text, indentation: 0, columns: columns)
        return text
    }

    private func write(to text: inout String, spaced: Bool = false) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let number): text += number.literal
        case .string(let string): Self.write(string, to: &text)
        case .array(let elements):
            text += "["
            for (position, element) in elements.enumerated() {
                if position > 0 { text += spaced ? ", " : "," }
                element.write(to: &text, spaced: spaced)
            }
            text += "]"
        case .object(let object):
            text += "{"
            for (position, member) in object.enumerated() {
                if position > 0 { text += spaced ? ", " : "," }
                Self.write(member.key, to: &text)
                text += spaced ? ": " : ":"
                member.value.write(to: &text, spaced: spaced)
            }
            text += "}"
        }
    }

    private func writeLines(to text: inout String, indentation: Int, columns: Int) {
        var line = ""
        write(to: &line, spaced: true)
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
                Self.write(key, to: &text)
                text += ": "
            }
            member.1.writeLines(to: &text, indentation: indentation + 2, columns: columns)
        }
        text += "\n" + String(repeating: " ", count: indentation) + closing
    }

    private var isLeaf: Bool { array == nil && object == nil }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{8}": text += "\\b"
            case "\u{c}": text += "\\f"
            case "\u{0}"..<" ": text += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
