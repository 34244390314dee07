import TestSupport
import Testing

/// What the guides to writing stages, optimizers, backends and communicators say of tests.
///
/// `DocumentationTests` runs their programs.
@Suite struct GuideTests {
    /// A guide that shows a test of what one of its programs declares.
    struct Guide: Sendable, CustomTestStringConvertible {
        /// The article's name.
        let name: String
        /// The name of the test's file.
        let test: String
        /// Which of the guide's programs, counted from 0, declares what is tested.
        let program: Int

        var testDescription: String { name }

        var blocks: [Markdown.Block] {
            (try? Markdown("\(Documentation.catalog)/\(name).md"))?.blocks ?? []
        }

        /// What the program declares, without the statements that use it.
        func declarations() throws -> String {
            let programs = blocks.filter { $0.mark == "swift" }
            try #require(programs.indices.contains(program))
            let lines = programs[program].text.split(separator: "\n", omittingEmptySubsequences: false)
            let statement = /(let|var|for|do|print|try|_)\b/
            return lines.prefix { $0.prefixMatch(of: statement) == nil }.joined(separator: "\n") + "\n"
        }

        /// The test.
        func testBlock() throws -> Markdown.Block { try #require(blocks.first { $0.mark == "swift \(test)" }) }

        /// Runs the test.
        func run(for declarations: String) throws -> SwiftCompiler.RunResult {
            try run(testBlock().program, for: declarations)
        }

        /// Runs a test of what a program declares.
        func run(_ text: String, for declarations: String) throws -> SwiftCompiler.RunResult {
            try SwiftCompiler().runTests(declarations + text, named: test)
        }
    }

    static let stage = Guide(name: "WritingAStage", test: "CalmTests.swift", program: 2)
    static let guides = [
        stage,
        Guide(name: "WritingOptimizers", test: "SignumTests.swift", program: 0),
        Guide(name: "WritingOptimizers", test: "SignumTests.swift", program: 1),
        Guide(name: "WritingOptimizers", test: "SignumTests.swift", program: 2),
        Guide(name: "WritingBackends", test: "ArrayBackendTests.swift", program: 0),
        Guide(name: "WritingCommunicators", test: "ThreadCommunicatorTests.swift", program: 0),
    ]

    @Test(arguments: guides.map(\.name) + ["AdvancedStages", "Composition"])
    func `each program shows what it prints`(_ name: String) {
        let programs = Documentation.programs.filter { $0.testDescription.hasPrefix("\(name).md") }
        #expect(!programs.isEmpty)
        for program in programs where program.output == nil { program.block.record("it shows nothing") }
    }

    @Test(arguments: guides) func `what a guide has made passes the test that it shows`(_ guide: Guide) throws {
        let result = try guide.run(for: guide.declarations())
        if result.status != 0 { try guide.testBlock().record(result.output) }
        #expect(result.output.contains("Test run with 1 test in 1 suite passed"))
    }

    @Test(arguments: [
        (0, "verify(MomentumCosine())"), (1, "verify(SGD(learningRate: 0.1).then { Agreeing() })"),
        (2, "verify(ClipToQuantile(share: 0.9))"), (3, "verify(SGD(learningRate: 0.1).then { KeepWithin(limit: 1) })"),
    ])
    func `what the guide to other stages says that the kit accepts, it accepts`(_ program: Int, _ call: String) throws {
        let guide = Guide(name: "AdvancedStages", test: "StageTests.swift", program: program)
        #expect(try Markdown("\(Documentation.catalog)/AdvancedStages.md").prose.contains { $0.contains("`\(call)`") })
        let test = """
            import DescentTestKit
            import Testing

            @Test func `the engine can rely on it`() { \(call) }
            """
        let result = try guide.run(test, for: guide.declarations())
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func `where its state changed too early, the test would say what the guide says`() throws {
        let complaint = try #require(Self.stage.blocks.last { $0.mark == "text" })
        let early = try Self.stage.declarations()
            .replacing("let mean = state.meanNorm", with: "let mean = state.meanNorm\n        state.meanNorm = norm")
        let result = try Self.stage.run(for: early)
        #expect(result.status != 0)
        // Swift Testing indents all lines but the first.
        for line in complaint.text.split(separator: "\n") where !result.output.contains(line) {
            complaint.record("there is no such line in\n\(result.output)")
        }
    }
}
