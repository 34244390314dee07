import DescentErrors

/// Writes values one after another as bytes, the same on every machine.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ number: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(shift))) }
    }

    mutating func write(_ text: String) {
        write(UInt64(text.utf8.count))
        bytes += text.utf8
    }

    mutating func write(_ text: String?) {
        write(text == nil ? 0 as UInt64 : 1)
        write(text ?? "")
    }

    mutating func write(_ texts: [String]) {
        write(UInt64(texts.count))
        for text in texts { write(text) }
    }
}

/// Reads what a ``ByteWriter`` has written; nil stands for bytes that no writer wrote.
struct ByteReader {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    mutating func number() -> UInt64? {
        guard bytes.count >= 8 else { return nil }
        let number = bytes.prefix(8).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        bytes = bytes.dropFirst(8)
        return number
    }

    mutating func text() -> String? {
        guard let count = number(), count <= UInt64(bytes.count) else { return nil }
        defer { bytes = bytes.dropFirst(Int(count)) }
        return String(decoding: bytes.prefix(Int(count)), as: UTF8.self)
    }

    mutating func optionalText() -> String?? {
        guard let isThere = number(), let text = text() else { return nil }
        return .some(isThere == 1 ? text : nil)
    }

    mutating func texts() -> [String]? {
        guard let count = number(), count <= UInt64(bytes.count) else { return nil }
        var texts: [String] = []
        for _ in 0..<count {
            guard let text = text() else { return nil }
            texts.append(text)
        }
        return texts
    }
}
