import Foundation

/// Standard output and error, and lines of standard input.
struct Console {
    /// Writes a line at once, without a buffer.
    func write(_ line: String = "") { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

    /// Writes a value as one line of JSON.
    func write(json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        write(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// Writes a line to standard error.
    func complain(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}
