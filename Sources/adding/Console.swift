import Foundation

/// Standard output, which is either a terminal, where a line can be rewritten, or a file or a pipe.
struct Console {
    /// Whether somebody watches.
    let isTerminal = isatty(STDOUT_FILENO) != 0

    /// Writes a line, in the place of one that says how far something has come.
    func write(_ line: String = "") { put((isTerminal ? "\r\u{1b}[K" : "") + line + "\n") }

    /// Writes how far something has come: over the line before on a terminal, elsewhere a few lines in all.
    ///
    /// - Parameters:
    ///   - line: What to write.
    ///   - step: Which step this is, from 1.
    ///   - total: How many there are.
    func progress(_ line: String, step: Int, of total: Int) {
        if isTerminal {
            put("\r\u{1b}[K" + line + (step == total ? "\n" : ""))
        } else if step == total || step.isMultiple(of: max(1, total / 3)) {
            write(line)
        }
    }

    /// Writes a line to standard error.
    func complain(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

    private func put(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}
