import Descent
import DescentDifferentiation
import Foundation
import Testing
import _Differentiation

/// A model that Swift differentiates, as one of the hosts that `EveryHostTests` has the others of.
@Suite struct HostTests {
    private func gradient(of model: HostModel, _ batch: Int, isSpoiled: Bool = false) -> HostModel.TangentVector {
        _Differentiation.gradient(at: model) { $0.loss(batch, isSpoiled: isSpoiled) }
    }

    private func numbers(_ model: HostModel) -> [Float] {
        model.first.weight + model.first.bias + model.second.weight + model.second.bias + [model.gain]
    }

    private func numbers(_ gradient: HostModel.TangentVector) -> [Float] {
        gradient.first.weight.base + gradient.first.bias.base + gradient.second.weight.base
            + gradient.second.bias.base + [gradient.gain]
    }

    @Test func `what a user held before a step is unchanged after it`() throws {
        var model = HostModel()
        var optimizer = try makeHostOptimizer(for: model, window: 1)
        for batch in 0..<4 {
            let gradient = gradient(of: model, batch)
            let (held, before) = (model, (numbers(model), numbers(gradient)))
            #expect(try optimizer.update(&model, along: gradient).isApplied)
            #expect(numbers(held) == before.0 && numbers(gradient) == before.1 && numbers(model) != before.0)
        }
    }

    @Test func `a hundred steps end where the host's own operations end, with at most fifteen lines of glue`() throws {
        var (model, other) = (HostModel(), HostModel())
        var optimizer = try makeHostOptimizer(for: model, window: 1)
        var adam = HostAdam(rate: 0.01)
        for batch in 0..<100 {
            try optimizer.update(&model, along: gradient(of: model, batch))
            adam.update(&other, along: gradient(of: other, batch), maximumNorm: 1)
        }
        let difference = zip(numbers(model), numbers(other)).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? .infinity
        #expect(difference <= 1e-6 && numbers(model).allSatisfy(\.isFinite))
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("DifferentiationGlue.swift")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .map { $0.trimmingCharacters(in: .whitespaces) }
        let start = try #require(lines.firstIndex(of: "// MARK: Glue"))
        let end = try #require(lines.firstIndex(of: "// MARK: End of glue"))
        #expect(end - start - 1 <= 15)
        print("| Swift's differentiation | \(end - start - 1) | \(difference) |")
    }

    @Test func `a batch with NaN is skipped and named, changes nothing, and training goes on`() throws {
        var (model, other) = (HostModel(), HostModel())
        var (optimizer, another) = (
            try makeHostOptimizer(for: model, window: 1), try makeHostOptimizer(for: model, window: 1)
        )
        for batch in 0..<8 {
            if batch % 3 == 0 {
                let before = numbers(model)
                let outcome = try optimizer.update(&model, along: gradient(of: model, batch, isSpoiled: true))
                #expect(outcome.skipReason?.parameter == "second.bias")
                #expect(numbers(model) == before)
            }
            try optimizer.update(&model, along: gradient(of: model, batch))
            try another.update(&other, along: gradient(of: other, batch))
        }
        #expect(numbers(model) == numbers(other))
    }

    @Test func `a throw changes nothing`() throws {
        var (model, other) = (HostModel(), HostModel())
        var (optimizer, another) = (
            try makeHostOptimizer(for: model, window: 2), try makeHostOptimizer(for: model, window: 2)
        )
        for batch in 0..<8 {
            var wrong = gradient(of: model, batch)
            wrong.second.weight.base.removeLast()
            let before = numbers(model)
            #expect(throws: DescentError.self) { try optimizer.update(&model, along: wrong) }
            #expect(numbers(model) == before)
            try optimizer.update(&model, along: gradient(of: model, batch))
            try another.update(&other, along: gradient(of: other, batch))
        }
        #expect(numbers(model) == numbers(other) && optimizer.appliedSteps == 4)
    }

    @Test func `resumed in an open window it goes on with the same bits`() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        var model = HostModel()
        var optimizer = try makeHostOptimizer(for: model, window: 3)
        for batch in 0..<5 { try optimizer.update(&model, along: gradient(of: model, batch)) }
        try optimizer.pipeline.checkpoint(to: path)

        var other = model
        var resumed = try makeHostOptimizer(for: other, window: 3)
        resumed.pipeline = try Pipeline(resuming: path, for: TensorSet(zeros: optimizer.pipeline.layout)) {
            Accumulate(steps: 3)
            ClipByGlobalNorm(1)
        } driving: {
            Adam(learningRate: 0.01)
        }
        for batch in 5..<15 {
            let outcome = try optimizer.update(&model, along: gradient(of: model, batch))
            try resumed.update(&other, along: gradient(of: other, batch))
            #expect(outcome.isApplied == (batch % 3 == 2))
            #expect(numbers(model).map(\.bitPattern) == numbers(other).map(\.bitPattern))
        }
    }
}
