import Foundation
import Testing

/// The README, what those who contribute are told, and the articles of all catalogs.
enum Documentation {
    /// Where the articles for users are, from the top of the repository.
    static let catalog = "Sources/Descent/Descent.docc"

    /// All pages, by their paths in the repository.
    static let pages: [(path: String, page: Markdown)] = paths.compactMap { path in
        (try? Markdown(path)).map { (path, $0) }
    }

    /// The paths of all pages.
    static let paths: [String] = {
        let sources = Markdown.repository.appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(atPath: sources.path)?.compactMap { $0 as? String } ?? []
        return ["README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"]
            + files.filter { $0.contains(".docc/") && $0.hasSuffix(".md") }.sorted().map { "Sources/\($0)" }
    }()

    /// The paths of the articles for users, without the page that lists them and those that group what a type has.
    static let articles = paths.filter { path in
        path.hasPrefix(catalog) && !path.hasSuffix("/Descent.md") && !path.contains("/Reference/")
    }

    /// Every block that holds a whole program, with what it is shown to print.
    static let programs: [Program] = pages.flatMap { _, page in
        page.blocks.indices.filter { page.blocks[$0].mark == "swift" }.map { Program(page.blocks, at: $0) }
    }

    /// The only page that has a table whose first column has a title.
    static func table(_ title: String) -> [[String]] {
        pages.lazy.map { $0.page.table(title) }.first { !$0.isEmpty } ?? []
    }

    /// A program on a page.
    struct Program: Sendable, CustomTestStringConvertible {
        let block: Markdown.Block
        /// What the page shows that it prints: behind each `print`, or in a block right below; nil if it shows nothing.
        let output: String?

        var testDescription: String { block.testDescription }

        init(_ blocks: [Markdown.Block], at index: Int) {
            let block = blocks[index]
            let lines = block.text.matches(of: /print\(.*\)  \/\/ (.*)/).map { $0.1 + "\n" }.joined()
            let next = blocks[(index + 1)...].first
            let isBelow = next.map { $0.mark == "text" && $0.line - block.lastLine <= 2 } ?? false
            self.block = block
            output = lines.isEmpty ? (isBelow ? next?.text : nil) : lines
        }
    }

    /// The text of a suite's file, anywhere among the tests; empty if there is none.
    static func testFile(named name: some StringProtocol) -> String {
        let tests = Markdown.repository.appendingPathComponent("Tests")
        let files = FileManager.default.enumerator(atPath: tests.path)?.compactMap { $0 as? String } ?? []
        guard let file = files.first(where: { $0.hasSuffix("/\(name).swift") }) else { return "" }
        return (try? String(contentsOf: tests.appendingPathComponent(file), encoding: .utf8)) ?? ""
    }
}

extension Markdown {
    /// What the prose links to: paths, addresses, and `doc:` with the name of an article; without links to a heading.
    var links: [String] {
        prose.flatMap { line in
            line.matches(of: /\]\(([^)#]+)[^)]*\)/).map { String($0.1) }
                + line.matches(of: /<(doc:[\w-]+)>/).map { String($0.1) }
        }
    }
}
