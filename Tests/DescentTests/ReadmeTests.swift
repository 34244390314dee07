import Descent
import Foundation
import Testing

/// What the README says: its programs compile, and what it names and shows is there.
@Suite struct ReadmeTests {
    /// Blocks marked `swift` and nothing else; one marked `swift Package.swift` is a manifest.
    static let programs = ((try? Readme())?.blocks ?? []).filter { $0.mark == "swift" }

    let readme: Readme

    init() throws { readme = try Readme() }

    @Test func `there are programs, and no other Swift than these and a manifest`() {
        #expect(!Self.programs.isEmpty)
        let marks = Set(readme.blocks.map(\.mark).filter { $0.lowercased().contains("swift") })
        #expect(marks.isSubset(of: ["swift", "swift Package.swift"]))
    }

    @Test(arguments: programs) func `a block of Swift is a whole program that compiles without warnings`(
        _ block: Readme.Block
    ) throws {
        // The compiler then speaks of lines of the README.
        let program = "#sourceLocation(file: \"\(Readme.file.path)\", line: \(block.line + 1))\n" + block.text
        if let complaints = try SwiftCompiler().complaints(about: program) {
            Issue.record(
                "README.md, line \(block.line):\n\(complaints)",
                sourceLocation: SourceLocation(
                    fileID: "DescentTests/README.md", filePath: Readme.file.path, line: block.line, column: 1))
        }
    }

    @Test(arguments: [("stage", "GradientTransform"), ("optimizer", "Optimizer")])
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
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("\(reference.1).swift")
            let exists = try String(contentsOf: file, encoding: .utf8).contains("func `\(reference.2)`(")
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

/// The README at the top of the repository.
struct Readme {
    /// What stands between two lines of three backticks.
    struct Block: Sendable, CustomTestStringConvertible {
        /// What follows the opening backticks.
        let mark: String
        /// The line of the opening backticks, from 1.
        let line: Int
        var text = ""

        var testDescription: String { "README.md, line \(line)" }
    }

    static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../README.md").standardizedFileURL

    private(set) var blocks: [Block] = []
    private var prose: [Substring] = []

    init() throws {
        let text = try String(contentsOf: Self.file, encoding: .utf8)
        var open: Block?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("```") {
                if let block = open {
                    blocks.append(block)
                    open = nil
                } else {
                    open = Block(mark: line.dropFirst(3).trimmingCharacters(in: .whitespaces), line: index + 1)
                }
            } else if open != nil {
                open?.text += line + "\n"
            } else {
                prose.append(line)
            }
        }
        let unclosed = open?.line
        try #require(unclosed == nil, "the block that begins in line \(unclosed ?? 0) of README.md has no end")
    }

    /// The rows, without the titles, of the table whose first column has a title.
    func table(_ title: String) -> [[String]] {
        let rows = prose.drop { !$0.hasPrefix("| \(title) |") }.prefix { $0.hasPrefix("|") }
        return rows.dropFirst(2).map { row in
            row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }
}

/// The compiler on the path, with the modules of this test run.
struct SwiftCompiler {
    private let products: URL
    private let modules: URL

    /// Looks for the modules in the folders above the test's resources, which lie where the build put its products.
    init() throws {
        let above = sequence(first: Bundle.module.bundleURL) { $0.deletingLastPathComponent() }.dropFirst().prefix(5)
        let folders = above.flatMap { [$0.appendingPathComponent("Modules"), $0] }
        modules = try #require(
            folders.first {
                FileManager.default.fileExists(atPath: $0.appendingPathComponent("Descent.swiftmodule").path)
            }, "no Descent.swiftmodule in \(folders.map(\.path))")
        products = modules.lastPathComponent == "Modules" ? modules.deletingLastPathComponent() : modules
    }

    /// What the compiler says about a program, or nil if it has nothing to say.
    func complaints(about program: String) throws -> String? {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("descent-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("main.swift")
        try program.write(to: file, atomically: true, encoding: .utf8)

        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            [
                "swiftc", "-emit-sil", "-o", "/dev/null", "-swift-version", "6", "-warnings-as-errors", "-I",
                modules.path,
            ]
            + (try moduleMaps.flatMap { ["-Xcc", "-fmodule-map-file=\($0.path)"] }) + [file.path]
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return process.terminationStatus == 0 ? nil : "swiftc ended with \(process.terminationStatus):\n\(output)"
    }

    /// The maps of modules in C that modules in Swift are built on: made by the build, or written by hand.
    private var moduleMaps: [URL] {
        get throws {
            let sources = Readme.file.deletingLastPathComponent().appendingPathComponent("Sources")
            let folders =
                try FileManager.default.contentsOfDirectory(at: products, includingPropertiesForKeys: nil)
                + FileManager.default.contentsOfDirectory(at: sources, includingPropertiesForKeys: nil)
                .map { $0.appendingPathComponent("include") }
            return folders.map { $0.appendingPathComponent("module.modulemap") }
                .filter { FileManager.default.fileExists(atPath: $0.path) }
        }
    }
}
