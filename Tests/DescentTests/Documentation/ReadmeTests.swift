import Foundation
import Testing

/// What holds of the README alone; `DocumentationTests` holds of all pages.
@Suite struct ReadmeTests {
    let readme: Markdown

    init() throws { readme = try Markdown("README.md") }

    @Test func `it is a first page, which is read in five minutes`() throws {
        #expect(try String(contentsOf: readme.file, encoding: .utf8).split(separator: "\n").count <= 150)
    }

    @Test func `its example shows what it prints`() throws {
        let example = try #require(Documentation.programs.first { $0.block.file == readme.file })
        #expect(example.output?.contains("step 250") == true)
    }

    @Test func `it has a manifest, and the commands that are run by the checks`() throws {
        #expect(readme.blocks.contains { $0.mark == "swift Package.swift" })
        let commands = readme.blocks.filter { $0.mark == "sh" }.flatMap { $0.text.split(separator: "\n") }
        for command in ["swift test", "swift run -c release digits", "swift run -c release adding"] {
            #expect(commands.contains { $0.hasPrefix(command) }, "no block of sh has \(command)")
        }
    }
}
