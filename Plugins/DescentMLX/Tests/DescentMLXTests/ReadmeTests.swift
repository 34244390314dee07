import Descent
import DescentMLX
import Foundation
import MLX
import MLXNN
import MLXOptimizers
import Testing

extension MLXTests {
    /// What the README says: what it shows is compiled, and runs.
    @Suite struct ReadmeTests {
        private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        private static let readme = tests.appendingPathComponent("../../README.md").standardizedFileURL

        @Test func `a chain and an optimizer are saved, and go on`() throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "\(UUID())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let (state, weights) = (folder.appending(path: "s").path(), folder.appending(path: "w.safetensors"))
            let (model, restored) = (Network(), Network())
            let before = bits(model.parameters())
            let batches = (0..<6).map { (wave([16, 6], Float($0)), wave([16, 3], Float($0) + 0.5)) }
            let lossAndGradients = valueAndGrad(model: model) { (model: Network, images: MLXArray, labels: MLXArray) in
                (model(images) - labels).square().mean()
            }

            let optimizer = try DescentOptimizer(for: model) {
                Accumulate(steps: 4)
                ClipByGlobalNorm(1)
            } driving: {
                Descent.AdamW(learningRate: 1e-3)
            }
            optimizer.onStep = { outcome in
                if let reason = outcome.skipReason { print("skipped: \(reason.description)") }
            }
            for (images, labels) in batches {
                let (loss, gradients) = lossAndGradients(model, images, labels)
                optimizer.update(model: model, gradients: gradients)
                print(loss.item(Float.self))
            }
            try optimizer.flush(model: model)

            try optimizer.checkpoint(to: state)
            try save(arrays: Dictionary(uniqueKeysWithValues: model.parameters().flattened()), url: weights)

            restored.update(parameters: ModuleParameters.unflattened(try loadArrays(url: weights)))
            let resumed = try DescentOptimizer(resuming: state, for: restored) {
                Accumulate(steps: 4)
                ClipByGlobalNorm(1)
            } driving: {
                Descent.AdamW(learningRate: 1e-3)
            }
            #expect(optimizer.appliedSteps == 2)
            #expect(resumed.appliedSteps == 2)
            #expect(bits(restored.parameters()) == bits(model.parameters()))
            #expect(bits(model.parameters()) != before)
        }

        @Test func `a chain stands in front of an optimizer of MLX's`() throws {
            let model = Network()
            let adamW = MLXOptimizers.AdamW(learningRate: 1e-3, biasCorrection: true)
            let optimizer = try DescentOptimizer(adamW, for: model) { ClipByGlobalNorm(1) }
            #expect(try optimizer.step(model: model, gradients: gradients(of: model, batch: 0)).isApplied)
        }

        @Test func `each line of Swift in the README is part of these tests`() throws {
            let code = try String(contentsOf: URL(fileURLWithPath: #filePath), encoding: .utf8)
            let readme = try String(contentsOf: Self.readme, encoding: .utf8)
            let blocks = readme.components(separatedBy: "```swift\n").dropFirst()
                .compactMap { $0.components(separatedBy: "```").first }
            try #require(blocks.count == 4)
            for line in blocks.joined().split(separator: "\n") {
                #expect(code.contains(line.trimmingCharacters(in: .whitespaces)), "\(line)")
            }
        }

        @Test func `the tests that prove promises exist`() throws {
            let readme = try String(contentsOf: Self.readme, encoding: .utf8)
            let promises = readme.split(separator: "\n").filter { $0.hasPrefix("| ") && $0.contains("Tests`: ") }
            #expect(promises.count >= 5)
            for promise in promises {
                let names = promise.matches(of: /`([^`]+)`/).map { String($0.1) }
                let suite = try #require(names.first { $0.hasSuffix("Tests") })
                let file = Self.tests.appendingPathComponent("\(suite).swift")
                let code = try String(contentsOf: file, encoding: .utf8)
                for name in names.drop(while: { $0 != suite }).dropFirst() { #expect(code.contains("func `\(name)`")) }
            }
        }
    }
}
