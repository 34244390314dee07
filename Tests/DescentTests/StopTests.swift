import Descent
import Foundation
import Testing

/// What is told when a program is stopped because it is wrong.
@Suite struct StopTests {
    @Test func `a release build prints why it stops, and before it what the program had printed`() throws {
        let program = """
            @main struct Program {
                static func main() {
                    print("printed before")
                    let names = ["fc1.weight", "fc1.bias"]
                    let name = "fc1.bais"
                    stopUnless(names.contains(name), "There is no tensor \\"\\(name)\\"\\(name.hint(among: names))")
                }
            }
            """
        let sources = ["Stop.swift", "NearestName.swift"].map { "Sources/DescentErrors/\($0)" }
        let result = try SwiftCompiler.runOptimized(program, with: sources)
        #expect(result.status != 0)
        #expect(result.output.hasPrefix("printed before\n"), "\(result.output)")
        #expect(
            result.output.contains("Descent: There is no tensor \"fc1.bais\"; did you mean \"fc1.bias\"?"),
            "\(result.output)")
    }

    @Test func `nothing in the library stops in a way that a release build is silent about`() throws {
        let sources = Markdown.repository.appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
        var count = 0
        for case let file as URL in try #require(files) where file.pathExtension == "swift" {
            guard file.path.contains("/Sources/Descent") else { continue }
            count += 1
            let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            for line in lines where line.contains(/\b(precondition|preconditionFailure|fatalError)\(/) {
                #expect(file.lastPathComponent == "Stop.swift", "\(file.lastPathComponent):\(line)")
            }
        }
        #expect(count > 100)
    }

    @Test func `a name that no tensor has is answered with the nearest one`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let gradients = try TensorSet([
                ParameterDescription("fc1.weight", shape: [2, 3]), ParameterDescription("fc1.bias", shape: [2]),
            ])
            _ = gradients["fc1.bais"]
        }
        let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(
            message.contains("Descent: There is no tensor \"fc1.bais\"; did you mean \"fc1.bias\"?"), "\(message)")
    }

    @Test func `a name unlike all others is not answered with any of them`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = try TensorSet([ParameterDescription("fc1.weight", shape: [2, 3])])["unrelated"]
        }
        let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(message.contains("Descent: There is no tensor \"unrelated\".\n"), "\(message)")
    }

    @Test func `a backend without threads is refused by name`() async throws {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = SIMDBackend(threads: 0)
        }
        let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(message.contains("Descent: SIMDBackend needs at least one thread, not 0."), "\(message)")
    }
}
