import TestSupport
import Testing

/// What the guide "Writing a stage" says of its test; `DocumentationTests` runs its programs.
@Suite struct GuideTests {
    static let guide = "Sources/Descent/Descent.docc/WritingAStage.md"
    static let blocks = (try? Markdown(guide))?.blocks ?? []
    static let programs = blocks.indices.filter { blocks[$0].mark == "swift" }

    @Test func `there are programs and a test, and no other Swift`() {
        let marks = Self.blocks.map(\.mark).filter { $0.contains("swift") }
        #expect(marks == ["swift", "swift", "swift", "swift CalmTests.swift"])
    }

    @Test func `each program shows what it prints`() {
        let programs = Documentation.programs.filter { $0.testDescription.hasPrefix("WritingAStage.md") }
        #expect(programs.count == Self.programs.count)
        for program in programs where program.output == nil { program.block.record("it shows nothing") }
    }

    @Test func `the stage that the guide ends with passes the test that it shows`() throws {
        let last = try #require(Self.programs.last)
        let test = try #require(Self.blocks.first { $0.mark == "swift CalmTests.swift" })
        let result = try run(test, for: try stage(in: Self.blocks[last].text))
        if result.status != 0 { test.record(result.output) }
        #expect(result.output.contains("Test run with 1 test in 1 suite passed"))
    }

    @Test func `where its state changed too early, the test would say what the guide says`() throws {
        let last = try #require(Self.programs.last)
        let test = try #require(Self.blocks.first { $0.mark == "swift CalmTests.swift" })
        let complaint = try #require(Self.blocks.last { $0.mark == "text" })
        let early = try stage(in: Self.blocks[last].text)
            .replacing("let mean = state.meanNorm", with: "let mean = state.meanNorm\n        state.meanNorm = norm")
        let result = try run(test, for: early)
        #expect(result.status != 0)
        // Swift Testing indents all lines but the first.
        for line in complaint.text.split(separator: "\n") where !result.output.contains(line) {
            complaint.record("there is no such line in\n\(result.output)")
        }
    }

    /// The part of a program that declares the stage.
    private func stage(in program: String) throws -> String {
        String(program[..<(try #require(program.firstRange(of: "\n}\n")).upperBound)])
    }

    private func run(_ test: Markdown.Block, for stage: String) throws -> SwiftCompiler.RunResult {
        let entry = """
            @main struct Runner {
                static func main() async { await Testing.__swiftPMEntryPoint() as Never }
            }

            """
        return try SwiftCompiler().run(
            stage + entry + test.program, named: "CalmTests.swift",
            with: Manifest().closure(of: ["Descent", "AllocationCounter", "DescentTestKit"]))
    }
}
