import Foundation
import Testing

@testable import DescentTensorBoard

/// What the README says: what it shows is compiled, and runs.
@Suite struct ExampleTests {
    private static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL

    @Test func `each block of Swift in the README is part of the example`() throws {
        let sources = Self.package.appendingPathComponent("Sources/descent-record")
        let code = try FileManager.default.contentsOfDirectory(at: sources, includingPropertiesForKeys: nil)
            .map { try String(contentsOf: $0, encoding: .utf8) }
        let readme = try String(contentsOf: Self.package.appendingPathComponent("README.md"), encoding: .utf8)
        let blocks = readme.components(separatedBy: "```swift\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }
        try #require(!blocks.isEmpty)
        for block in blocks {
            #expect(code.contains { $0.contains(block) }, "not in Sources/descent-record:\n\(block)")
        }
    }

    @Test func `the example records a run`() throws {
        let folder = try TemporaryFolder()
        let (process, output) = (Process(), Pipe())
        // The build puts the example beside the program that runs the tests.
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appendingPathComponent("descent-record")
        process.arguments = [folder.path]
        process.standardOutput = output
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let reader = try EventReader(path: "\(folder.path)/\(try #require(try folder.names.first))")
        let losses = reader.scalars("loss")
        #expect(losses.count == 200)
        #expect(try #require(losses[200]) < 0.1 * (try #require(losses[1])))
        #expect(reader.scalars("gradient_log2/fc.weight/zeros").keys.sorted() == [50, 100, 150, 200])
    }
}
