import DescentErrors

/// Where in a document a value is: "stages[2].maximumNorm".
struct JSONPath: Hashable {
    /// The path as text; empty for the whole document.
    private(set) var text: String

    /// A path that begins in a place of a larger document.
    init(_ text: String = "", _ keys: [any CodingKey] = []) {
        self.text = text
        for key in keys {
            if let index = key.intValue { append(index: index) } else { append(key: key.stringValue) }
        }
    }

    mutating func append(index: Int) { text += "[\(index)]" }

    mutating func append(key: String) {
        let isWord = !key.isEmpty && key.utf8.count <= 80 && key.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
        if isWord { text += (text.isEmpty ? "" : ".") + key } else { text += "[\(key.quotedBriefly)]" }
    }

    /// The path with a preposition, for the end of a message.
    var place: String { text.isEmpty ? "at the top level" : "at \(text)" }
}

/// The name of a member or the position of an element.
struct JSONKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = String(intValue)
        self.intValue = intValue
    }

    /// The key under which a class encodes what it inherits.
    static let `super` = JSONKey(stringValue: "super")
}
