import Foundation
import Testing

/// What the README says: what it shows is compiled, and runs.
@Suite struct ExampleTests {
    private static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL

    @Test func `each block of Swift in the README is part of the example`() throws {
        let sources = Self.package.appendingPathComponent("Sources/descent-fit")
        let code = try FileManager.default.contentsOfDirectory(at: sources, includingPropertiesForKeys: nil)
            .map { try String(contentsOf: $0, encoding: .utf8) }
        let readme = try String(contentsOf: Self.package.appendingPathComponent("README.md"), encoding: .utf8)
        let blocks = readme.components(separatedBy: "```swift\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }
        try #require(!blocks.isEmpty)
        for block in blocks { #expect(code.contains { $0.contains(block) }, "not in Sources/descent-fit:\n\(block)") }
    }

    @Test func `the example learns to multiply`() throws {
        // The build puts the example beside the program that runs the tests.
        let product = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("descent-fit")
        let (process, output) = (Process(), Pipe())
        process.executableURL = product
        process.standardOutput = output
        try process.run()
        let lines = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            .split(separator: "\n")
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let errors = lines.compactMap { $0.wholeMatch(of: /error (.+)/).flatMap { Float($0.1) } }
        let (first, last) = (try #require(errors.first), try #require(errors.last))
        #expect(first > 1)
        #expect(last < 0.01)
    }
}
