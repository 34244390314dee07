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

    /// A run with all that the format can hold: moments in 8 bits, an open window, an average, masters, a metric, changed
    /// settings, slots of rows, columns and tensors.
    private static func pipeline(
        _ parameters: inout TensorSet, resuming path: String?
    ) throws -> Pipeline {
        let configuration = PipelineConfiguration(lowPrecisionParameters: .masterCopies)
        let stages: [any Stage] = [
            Freeze(prefix: "frozen"), Accumulate(steps: 3, reduction: .weighted), Unscale(.dynamic(initial: 4)),
            TopK(share: 0.5).only(prefix: "head."), ClipByPercentile(50, historyLength: 3), ClipByGlobalNorm(1),
        ]
        let optimizers =
            [
                Adafactor(learningRate: 0.125).only(prefix: "factored."),
                AdamW(learningRate: .reduceOnPlateau(initial: 0.25, patience: 0), moments: .int8)
                    .then { ExponentialMovingAverage(decay: 0.5) },
            ] as [any Driving]
        guard let path else {
            return try Pipeline(for: parameters, configuration: configuration, on: SIMDBackend(threads: 1)) {
                stages
            } driving: {
                for optimizer in optimizers { optimizer }
            }
        }
        return try Pipeline(
            resuming: path, restoring: &parameters, configuration: configuration, on: SIMDBackend(threads: 1)
        ) {
            stages
        } driving: {
            for optimizer in optimizers { optimizer }
        }
    }

    private static func parametersOfRelease() throws -> TensorSet {
        let layout = try ParameterLayout([
            ParameterDescription("body.weight", shape: [64, 72]),
            ParameterDescription("factored.weight", shape: [5, 6]),
            ParameterDescription("head.weight", shape: [2, 3]), ParameterDescription("frozen.bias", shape: [3]),
        ])
        var parameters = TensorSet(zeros: layout, .bfloat16)
        for parameter in layout {
            parameters[parameter.name] = (0..<parameter.count).map { Float($0 % 9) / 8 - 0.5 }
        }
        return parameters
    }

    private static func train(_ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ steps: Range<Int>) throws {
        for step in steps {
            var gradients = TensorSet(zeros: parameters.layout)
            for (position, parameter) in parameters.layout.enumerated() {
                gradients[parameter.name] = (0..<parameter.count).map {
                    Float((($0 + 1) * (step + 3) * (position + 5)) % 17 - 8) / 4
                }
            }
            _ = try pipeline.step(&parameters, gradients: gradients, weight: Double(step % 3 + 1))
            if step == 4 { try pipeline.change(ClipByGlobalNorm.self) { $0.maximum = 0.5 } }
            if step % 3 == 2 { try pipeline.note(metric: Double(step % 4)) }
        }
    }

    /// A digest of all bits: FNV-1a, a float at a time.
    private static func digest(_ tensors: TensorSet) -> UInt64 {
        tensors.layout.reduce(0xcbf2_9ce4_8422_2325) { digest, parameter in
            tensors[parameter.name].reduce(digest) { ($0 ^ UInt64($1.bitPattern)) &* 0x100_0000_01b3 }
        }
    }

    /// `1.0.0.safetensors` was written after 8 micro-batches, in the middle of a window, by the code of the first release.
    @Test func `the first release's file goes on with the bits of the run that wrote it`() throws {
        let url = Bundle.module.url(forResource: "Fixtures/1.0.0", withExtension: "safetensors")
        var parameters = try Self.parametersOfRelease()
        var pipeline = try Self.pipeline(&parameters, resuming: try #require(url).path)
        #expect((pipeline.appliedSteps, pipeline.window?.received) == (2, 2))
        try Self.train(&pipeline, &parameters, 8..<20)
        #expect(Self.digest(parameters) == Self.digestOfRelease)
    }

    private static let digestOfRelease: UInt64 = 6_690_740_350_935_528_999

    /// A run of today ends as that of the first release did: what writes a new fixture, with `DESCENT_FIXTURE` set to a path.
    @Test func `a run of today ends with the bits of the first release`() throws {
        var parameters = try Self.parametersOfRelease()
        var pipeline = try Self.pipeline(&parameters, resuming: nil)
        try Self.train(&pipeline, &parameters, 0..<8)
        if let path = ProcessInfo.processInfo.environment["DESCENT_FIXTURE"] {
            try pipeline.checkpoint(to: path, including: parameters)
        }
        try Self.train(&pipeline, &parameters, 8..<20)
        #expect(Self.digest(parameters) == Self.digestOfRelease)
    }
}
