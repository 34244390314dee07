extension String {
    /// The text in quotation marks, as messages quote names: at most 80 characters of it, from its beginning and its end.
    ///
    /// Quotation marks, backslashes and control characters are escaped as in JSON.
    package var quotedBriefly: String {
        var quoted = "\""
        quoted.append(escaping: cut(to: 80).unicodeScalars[...])
        return quoted + "\""
    }

    /// The text, or its beginning and its end with an ellipsis between them where it is longer than so many bytes.
    package func cut(to count: Int) -> String {
        guard utf8.count > count else { return self }
        // Characters can be of any length, so that scalars are counted.
        var text = String(unicodeScalars.prefix(count / 2))
        text += "…"
        text.unicodeScalars.append(contentsOf: unicodeScalars.suffix(count / 2 - 1))
        return text
    }

    private mutating func append(escaping scalars: Substring.UnicodeScalarView) {
        for scalar in scalars {
            switch scalar {
            case "\"", "\\": self += "\\\(scalar)"
            case "\n": self += "\\n"
            case "\r": self += "\\r"
            case "\t": self += "\\t"
            case "\u{0}"..<" ", "\u{7f}"..<"\u{a0}":
                let digits = String(scalar.value, radix: 16)
                self += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: unicodeScalars.append(scalar)
            }
        }
    }
}
