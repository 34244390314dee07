import Descent
import DescentJSON
import Foundation
import TestSupport
import Testing

/// Checkpoints in whose document something was changed at random, with checksums that are right again.
@Suite struct ResumedStateFuzzTests {
    @Test func `a checkpoint that was edited is refused, or training goes on and can be saved and resumed`() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            try Fuzzing.run("resumed states", count: 300) { seed, draw in
                try Self.check(folder["run.safetensors"], &draw)
            }
        }
        Fuzzing.reportUnfinishedCase("resumed states")
    }

    private static func stages(_ choice: Int) -> [any Stage] {
        switch choice {
        case 0: [Accumulate(steps: 3, reduction: .weighted), Unscale(.dynamic(initial: 8, growthInterval: 2))]
        case 1:
            [Accumulate(steps: 2, nonFinite: .dropMicroBatch), Unscale(.adaptive()), ClipByZScore(warmup: 2)]
        default: [ClipByPercentile(50, historyLength: 3), ClipByZScore(warmup: 9)]
        }
    }

    private static func check(_ path: String, _ draw: inout Fuzzing.Draw) throws {
        let layout = try makeLayout([[3, 2], [3]])
        let choice = draw.number(0...2)
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            stages(choice)
        } driving: {
            AdamW()
        }
        try step(&pipeline, &parameters, count: draw.number(0...9), &draw)
        try pipeline.checkpoint(to: path, including: parameters)
        let checkpoint = try EditedCheckpoint(contentsOf: path)
        var document = checkpoint.document
        for _ in 0..<draw.number(1...2) { document = edit(document, &draw) }
        try Data(checkpoint.bytes(document)).write(to: URL(fileURLWithPath: path))
        do {
            pipeline = try resume(path, choice, &parameters)
        } catch is DescentError {
            return
        }
        for _ in 0..<3 {
            try step(&pipeline, &parameters, count: draw.number(1...4), &draw)
            guard parameters.arrays.joined().allSatisfy(\.isFinite) else {
                throw Fuzzing.Failure(description: "a parameter is not finite after an edit that was accepted")
            }
            try pipeline.checkpoint(to: path, including: parameters)
            pipeline = try resume(path, choice, &parameters)
        }
    }

    private static func resume(_ path: String, _ choice: Int, _ parameters: inout TensorSet) throws -> Pipeline {
        try Pipeline(resuming: path, restoring: &parameters) {
            stages(choice)
        } driving: {
            AdamW()
        }
    }

    private static func step(
        _ pipeline: inout Pipeline, _ parameters: inout TensorSet, count: Int, _ draw: inout Fuzzing.Draw
    ) throws {
        for _ in 0..<count {
            var gradients = TensorSet.random(pipeline.layout, seed: UInt64(draw.number(0...99)))
            if draw.isLucky(oneIn: 4) { gradients[pipeline.layout[0].name][0] = .infinity }
            do {
                _ = try pipeline.step(&parameters, gradients: gradients, weight: Double(draw.number(0...3)))
            } catch {
                // A scale at its minimum is nothing out of the ordinary here.
                guard error.code == .lossScaleExhausted else { throw error }
            }
        }
    }

    /// Changes a value at random, or takes it away.
    private static func edit(_ document: JSON, _ draw: inout Fuzzing.Draw) -> JSON {
        let paths = document.leaves.filter { !$0.isEmpty }
        guard !paths.isEmpty else { return document }
        let path = draw.element(paths)[...]
        if draw.isLucky(oneIn: 12) { return document.replacing(path, with: nil) }
        return document.replacing(path, with: draw.element(values))
    }

    private static let values: [JSON] =
        ([
            "0", "-0.0", "1", "-1", "2", "3", "0.5", "-0.5", "1e-45", "1e-300", "1e30", "3.4e38", "1e200", "1.7e308",
            "9007199254730992", "9007199254740993", "4611686018427387904", "9223372036854775807",
            "-9223372036854775808", "35184372088832",
        ].compactMap(JSON.Number.init(literal:)).map(JSON.number))
        + ["NaN", "Infinity", "-Infinity", "", "AdamW", "sum", .null, true, [], [1, 2, 3, 4], [:]]
}
