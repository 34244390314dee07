import Foundation
import Testing

/// The pages for those who come from another framework: their tables name what there is.
@Suite struct ComingFromTests {
    static let names = ["ComingFromPyTorch", "ComingFromOptax", "ComingFromMLX"]

    /// Every word in the Swift sources of the package and of its plugins.
    static let words: Set<Substring> = {
        var words: Set<Substring> = []
        for folder in ["Sources", "Plugins"].map({ Markdown.repository.appendingPathComponent($0) }) {
            let paths = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
            for path in paths where path.hasSuffix(".swift") && !path.contains(".build/") {
                let text = try? String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
                words.formUnion((text ?? "").matches(of: /\w+/).map(\.0))
            }
        }
        return words
    }()

    /// What stands in code in the second column of all tables, without what stands in quotes.
    static func snippets(in page: Markdown) -> [String] {
        page.prose.filter { $0.hasPrefix("| ") }.flatMap { row in
            let cells = row.split(separator: "|", omittingEmptySubsequences: false)
            return cells[2].matches(of: /`([^`]+)`/).map { String($0.1).replacing(/"[^"]*"/, with: "") }
        }
    }

    @Test(arguments: names) func `what stands beside another framework's name exists here`(_ name: String) throws {
        let snippets = Self.snippets(in: try Markdown("\(Documentation.catalog)/\(name).md"))
        #expect(snippets.count > 20)
        for snippet in snippets {
            // Numbers and single letters stand for settings.
            for word in snippet.matches(of: /\b[A-Za-z]\w+/).map(\.0) where !Self.words.contains(word) {
                Issue.record("\(name).md: there is no \(word), which `\(snippet)` names")
            }
        }
    }
}
