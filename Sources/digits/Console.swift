import Foundation

/// Standard output, which is a terminal, where a line can be rewritten, or else a file or a pipe.
struct Console {
    private let isTerminal = isatty(STDOUT_FILENO) != 0

    /// Writes a line.
    func write(_ line: String = "") { put(line + "\n") }

    /// Writes how far something has come: on a terminal over the line before, elsewhere if it is worth a line.
    ///
    /// - Parameters:
    ///   - line: What to write, equally long each time, so that it covers what was there.
    ///   - isMilestone: Whether to write it where every line stays.
    ///   - isLast: Whether it is to stay on a terminal too.
    func progress(_ line: String, isMilestone: Bool, isLast: Bool) {
        if isTerminal {
            put("\r" + line + (isLast ? "\n" : ""))
        } else if isMilestone || isLast {
            write(line)
        }
    }

    /// Writes a line to standard error.
    func complain(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

    /// Writes at once, without a buffer.
    private func put(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}
