import Descent
import Foundation
import Testing

/// What the README says: its programs compile, and what it names and shows is there.
@Suite struct ReadmeTests {
    /// Blocks marked `swift` and nothing else; one marked `swift Package.swift` is a manifest.
    static let programs = ((try? Markdown("README.md"))?.blocks ?? []).filter { $0.mark == "swift" }

    let readme: Markdown

    init() throws { readme = try Markdown("README.md") }

    @Test func `there are programs, and no other Swift than these and a manifest`() {
        #expect(!Self.programs.isEmpty)
        let marks = Set(readme.blocks.map(\.mark).filter { $0.lowercased().contains("swift") })
        #expect(marks.isSubset(of: ["swift", "swift Package.swift"]))
    }

    @Test(arguments: programs) func `a block of Swift is a whole program that compiles without warnings`(
        _ block: Markdown.Block
    ) throws {
        if let complaints = try SwiftCompiler().complaints(about: block.program) { block.record(complaints) }
    }

    @Test(arguments: [("stage", "Stage"), ("optimizer", "Optimizer")])
    func `what the tables list exists`(_ title: String, _ requirement: String) throws {
        let names = readme.table(title).compactMap { $0.first?.prefixMatch(of: /`(\w+)\(/)?.1 }
        try #require(!names.isEmpty)
        let types = names.map { "\($0).self" }.joined(separator: ", ")
        let program = "import Descent\nlet types: [any \(requirement).Type] = [\(types)]\nprint(types)"
        if let complaints = try SwiftCompiler().complaints(about: program) { Issue.record("\(complaints)") }
    }

    @Test func `a test that it names exists, and every promise names one`() throws {
        let promises = readme.table("promise")
        try #require(!promises.isEmpty)
        for promise in promises {
            let reference = try #require(promise.last?.wholeMatch(of: /`(\w+)`: `([^`]+)`/), "\(promise)")
            let exists = try Markdown.testFile(named: reference.1).contains("func `\(reference.2)`(")
            #expect(exists, "\(reference.1) has no test named \(reference.2)")
        }
    }

    @Test func `the plan that it shows is the one that explain prints`() throws {
        let parameters = try TensorSet([
            ParameterDescription("fc1.weight", shape: [256, 64]), ParameterDescription("fc1.bias", shape: [256]),
            ParameterDescription("fc2.weight", shape: [10, 256]), ParameterDescription("fc2.bias", shape: [10]),
        ])
        let pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 2)) {
            Accumulate(steps: 4)
            Unscale(.dynamic())
            Centralize()
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: .warmupCosine(peak: 3e-4, warmup: 100, total: 2_000), groups: [.vectorsWithoutDecay])
        }
        let isShown = readme.blocks.contains { $0.text == pipeline.explain() + "\n" }
        #expect(isShown, "no block of the README is\n\(pipeline.explain())")
    }
}
