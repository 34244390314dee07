import Descent
import Foundation
import Testing

/// Files that earlier versions of Descent have written.
@Suite struct EarlierCheckpointTests {
    /// Written after one applied step and one skipped, with two micro-batches in the open window, by the
    /// version in which the window was part of a stage that accumulates.
    private static func file() throws -> String {
        let url = Bundle.module.url(forResource: "Fixtures/version-1", withExtension: "safetensors")
        return try #require(url).path
    }

    private static func layout() throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("body.weight", shape: [3, 4]), ParameterDescription("body.bias", shape: [3]),
            ParameterDescription("head.weight", shape: [2, 3]),
        ])
    }

    /// What the run that wrote the file made of step 8 and later ones.
    private static let bits: [(parameter: String, bits: [UInt32])] = [
        (
            "body.weight",
            [
                1_032_484_326, 3_129_400_264, 1_038_492_618, 1_045_205_978, 1_057_595_752, 1_055_271_966, 1_061_071_248,
                1_059_832_854, 1_066_625_292, 1_066_214_598, 1_067_678_282, 1_068_027_704,
            ]
        ),
        ("body.bias", [0, 1_040_187_392, 1_048_576_000]),
        (
            "head.weight",
            [1_038_971_781, 1_050_127_901, 1_049_571_440, 1_057_437_792, 1_056_810_226, 1_059_687_667]
        ),
    ]

    @Test func `the first version's file goes on with the bits of the run that wrote it`() throws {
        let layout = try Self.layout()
        var parameters = TensorSet(zeros: layout)
        var pipeline = try Pipeline(resuming: try Self.file(), restoring: &parameters) {
            Freeze(prefix: "body.bias")
            Accumulate(steps: 3, reduction: .weighted)
            Unscale(.dynamic(initial: 4, growthInterval: 2))
            ClipByPercentile(50, historyLength: 4)
            ClipByNorm(1).only(prefix: "head.")
        } driving: {
            AdamW(learningRate: 0.125, amsgrad: true).averagingParameters(decay: 0.5)
                .lookingAhead(synchronizationPeriod: 2)
        }
        #expect(pipeline.window?.received == 2)
        #expect((pipeline.appliedSteps, pipeline.skippedSteps) == (1, 1))
        for step in 8..<16 {
            var gradients = TensorSet(zeros: layout)
            for (position, parameter) in layout.enumerated() {
                gradients[parameter.name] = (0..<parameter.count).map {
                    Float((($0 + 1) * (step + 3) * (position + 5)) % 17 - 8) / 4
                }
            }
            _ = try pipeline.step(&parameters, gradients: gradients, weight: Double(step % 3 + 1))
        }
        for (parameter, bits) in Self.bits { #expect(parameters[parameter].map(\.bitPattern) == bits) }
        #expect(
            pipeline.averagedParameters?["head.weight"].map(\.bitPattern)
                == [1_040_203_276, 1_050_941_567, 1_049_719_441, 1_057_872_159, 1_056_724_192, 1_059_681_180])
        #expect((pipeline.appliedSteps, pipeline.skippedSteps, pipeline.lossScale) == (4, 1, 4))
    }

    @Test func `its metadata and counts can be read before anything is resumed`() throws {
        let checkpoint = try Checkpoint(contentsOf: try Self.file())
        #expect(checkpoint.metadata["batches"] == "8")
        #expect(checkpoint.counters == StepCounters(appliedSteps: 1, skippedSteps: 1, consecutiveSkips: 1))
    }
}
