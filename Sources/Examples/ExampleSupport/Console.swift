import Foundation

/// Standard output, which is either a terminal, where a line can be rewritten, or a file or a pipe; and standard error.
package struct Console {
    /// Whether standard output is a terminal that can rewrite lines; one whose `TERM` is `dumb` cannot.
    package let isTerminal =
        isatty(STDOUT_FILENO) != 0 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    /// Whether to write in colors: on a terminal, unless the environment has a `NO_COLOR` that is not empty.
    package var isColored: Bool { isTerminal && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty }

    /// Makes a console.
    package init() {}

    /// Writes a line at once, without a buffer, in the place of one that says how far something has come.
    package func write(_ line: String = "") { put(clearing + line + "\n") }

    /// Writes a part of a line at once.
    package func write(part: String) { put(part) }

    /// Writes how far something has come: over the line before on a terminal, elsewhere only milestones.
    ///
    /// - Parameters:
    ///   - line: What to write.
    ///   - isMilestone: Whether to write it where every line stays.
    ///   - isLast: Whether it is to stay on a terminal too.
    package func progress(_ line: String, isMilestone: Bool, isLast: Bool) {
        if isTerminal {
            put(clearing + line + (isLast ? "\n" : ""))
        } else if isMilestone || isLast {
            put(line + "\n")
        }
    }

    /// Writes a value as one line of JSON.
    package func write(json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        write(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// Writes a line to standard error.
    package func complain(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

    /// What clears the line that the cursor is in.
    private var clearing: String { isTerminal ? "\r\u{1b}[K" : "" }

    private func put(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}
