import Descent
import DescentMuon
import Foundation
import Testing

@Suite struct ReadmeTests {
    @Test func `the example builds a pipeline`() throws {
        let parameters = try TensorSet([
            ParameterDescription("fc1.weight", shape: [64, 32]), ParameterDescription("fc1.bias", shape: [64]),
        ])
        let optimizer = try Pipeline(for: parameters) {
            ClipByGlobalNorm(1)
        } driving: {
            Muon(learningRate: 0.02, others: AdamW(learningRate: 0.001))
        }
        #expect(optimizer.explain().contains("Muon moves 1 of 2 parameters: fc1.weight"))
    }

    @Test func `the example is the one that is tested`() throws {
        let file = URL(fileURLWithPath: #filePath)
        let folder = file.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let readme = try String(contentsOf: folder.appendingPathComponent("README.md"), encoding: .utf8)
        let example = try #require(readme.firstMatch(of: /```swift\n([^`]*)```/)?.1)
        let test = try String(contentsOf: file, encoding: .utf8)
        for line in example.split(separator: "\n") {
            // There, tensors are for training.
            let code = line.trimmingCharacters(in: .whitespaces).replacing(#/^var /#, with: "let ")
            #expect(test.contains(code), "\(code)")
        }
    }

    @Test func `the tests that prove promises exist`() throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let folder = tests.deletingLastPathComponent().deletingLastPathComponent()
        let readme = try String(contentsOf: folder.appendingPathComponent("README.md"), encoding: .utf8)
        let promises = readme.split(separator: "\n").filter { $0.hasPrefix("| ") && $0.contains("Tests`: ") }
        #expect(promises.count >= 5)
        for promise in promises {
            let names = promise.matches(of: /`([^`]+)`/).map { String($0.1) }
            let suite = try #require(names.first { $0.hasSuffix("Tests") })
            let code = try String(contentsOf: tests.appendingPathComponent("\(suite).swift"), encoding: .utf8)
            for name in names.drop(while: { $0 != suite }).dropFirst() { #expect(code.contains("func `\(name)`")) }
        }
    }
}
