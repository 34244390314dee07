import Foundation
import Testing

/// What depends on the processor or the system is listed in one place.
@Suite struct PlatformTests {
    /// Whether a file has code that is compiled for some processors or systems alone.
    private func isConditional(_ path: String) throws -> Bool {
        let url = Markdown.repository.appendingPathComponent("Sources/\(path)")
        return try String(contentsOf: url, encoding: .utf8).contains(
            /(?m)^ *#(el)?if.*(\barch\(|\bos\(|canImport|__x86_64__|__aarch64__|__linux__|__APPLE__|\bWIDTH\b)/)
    }

    @Test func `the table of code that depends on the processor or the system is complete`() throws {
        let sources = Markdown.repository.appendingPathComponent("Sources")
        let files = try #require(FileManager.default.enumerator(atPath: sources.path)?.compactMap { $0 as? String })
        let ofLibraries = files.filter { path in
            ["swift", "c", "h", "inc"].contains { path.hasSuffix(".\($0)") } && !path.hasPrefix("Examples/")
                && !path.hasPrefix("Benchmarks/")
        }
        let conditional = try ofLibraries.filter(isConditional)
        let listed = Documentation.table("depends on").flatMap { row in
            row[1].matches(of: /`([^`]+)`/).map { String($0.1) }
        }
        #expect(conditional.count > 10)
        #expect(listed.sorted() == conditional.sorted())
    }
}
