import Foundation
import Testing

/// A page of documentation: its blocks of code, and its prose.
struct Markdown {
    /// What stands between two lines of three backticks.
    struct Block: Sendable, CustomTestStringConvertible {
        /// Where the page is.
        let file: URL
        /// What follows the opening backticks.
        let mark: String
        /// The line of the opening backticks, from 1.
        let line: Int
        /// The line of the closing backticks.
        fileprivate(set) var lastLine = 0
        var text = ""

        var testDescription: String { "\(file.lastPathComponent), line \(line)" }

        /// The text as a program whose lines the compiler takes for those of the page.
        var program: String { "#sourceLocation(file: \"\(file.path)\", line: \(line + 1))\n" + text }

        /// Records an issue with the block, at its place in the page.
        func record(_ complaint: String) {
            Issue.record(
                "\(testDescription):\n\(complaint)",
                sourceLocation: SourceLocation(
                    fileID: "DescentTests/\(file.lastPathComponent)", filePath: file.path, line: line, column: 1))
        }
    }

    /// The top of the repository.
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../..").standardizedFileURL

    /// The text of the file of tests with a name, in whichever folder of `Tests` it is.
    static func testFile(named name: some StringProtocol) throws -> String {
        let tests = repository.appendingPathComponent("Tests")
        let paths = FileManager.default.enumerator(atPath: tests.path)?.compactMap { $0 as? String } ?? []
        let path = try #require(paths.first { $0.hasSuffix("/\(name).swift") }, "there is no \(name).swift")
        return try String(contentsOf: tests.appendingPathComponent(path), encoding: .utf8)
    }

    let file: URL
    private(set) var blocks: [Block] = []
    /// The lines outside blocks.
    private(set) var prose: [Substring] = []

    /// Reads a page by its path in the repository.
    ///
    /// - Throws: An error if there is none, or if a block in it has no end.
    init(_ path: String) throws {
        file = Self.repository.appendingPathComponent(path)
        let text = try String(contentsOf: file, encoding: .utf8)
        var open: Block?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("```") {
                if var block = open {
                    block.lastLine = index + 1
                    blocks.append(block)
                    open = nil
                } else {
                    let mark = line.dropFirst(3).trimmingCharacters(in: .whitespaces)
                    open = Block(file: file, mark: mark, line: index + 1)
                }
            } else if open != nil {
                open?.text += line + "\n"
            } else {
                prose.append(line)
            }
        }
        let unclosed = open?.line
        try #require(unclosed == nil, "the block that begins in line \(unclosed ?? 0) of \(path) has no end")
    }

    /// The rows, without the titles, of the table whose first column has a title.
    func table(_ title: String) -> [[String]] {
        let rows = prose.drop { !$0.hasPrefix("| \(title) |") }.prefix { $0.hasPrefix("|") }
        return rows.dropFirst(2).map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }
}
