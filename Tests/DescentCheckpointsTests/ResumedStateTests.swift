import Descent
import DescentCore
import DescentJSON
import Foundation
import TestSupport
import Testing

/// States with right checksums and wrong contents: an edited file, or a state that was made by hand.
@Suite struct ResumedStateTests {
    private let folder: TemporaryFolder
    private let layout: ParameterLayout
    private var path: String { folder["run.safetensors"] }

    init() throws {
        folder = try TemporaryFolder()
        layout = try makeLayout([[6, 5], [6]])
    }

    private static let stages: [any Stage] = [
        Accumulate(steps: 4, reduction: .weighted), Unscale(.dynamic(initial: 8, growthInterval: 5, hysteresis: 2)),
        ClipByPercentile(50, historyLength: 4), ClipByZScore(warmup: 3),
    ]

    private func resume(
        _ stages: [any Stage] = Self.stages, _ policy: ResumptionPolicy = .sameStages
    ) throws -> Pipeline {
        try Pipeline(resuming: path, policy, for: TensorSet(zeros: layout)) {
            stages
        } driving: {
            AdamW()
        }
    }

    /// Saves a run of some windows of four micro-batches, and two micro-batches more.
    private func save(_ stages: [any Stage] = Self.stages, windows: UInt64 = 6) throws {
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            stages
        } driving: {
            AdamW()
        }
        for step in 0..<windows * 4 + 2 {
            _ = try pipeline.step(&parameters, gradients: .random(layout, seed: step), weight: 2)
        }
        try pipeline.checkpoint(to: path)
    }

    /// What is set where, and which code the refusal has.
    private static let edits: [(path: String, value: JSON?, code: DescentError.Code)] = [
        ("appliedSteps", .max, .stateMismatch), ("appliedSteps", -1, .invalidFile),
        ("appliedSteps", .real(1.5), .invalidFile),
        ("skippedSteps", .max, .stateMismatch), ("nonFiniteInARow", .max, .stateMismatch),
        ("nonFiniteInARow", 1, .stateMismatch), ("appliedSteps", nil, .invalidFile),
        ("parameters/0/shape/0", 35_184_372_088_832, .shapeMismatch), ("parameters/0/shape/0", -6, .invalidShape),
        ("parameters/0/shape/1", .max, .invalidShape), ("parameters/0/name", "other", .missingParameter),
        ("parameters/1/outputAxis", "neither", .invalidFile), ("parameters/1", nil, .unexpectedParameter),
        ("components/0/state/received", .max, .stateMismatch), ("components/0/state/received", -1, .stateMismatch),
        ("components/0/state/received", 4, .stateMismatch), ("components/0/state/received", 1, .stateMismatch),
        ("components/0/state/included", 3, .stateMismatch), ("components/0/state/included", -1, .stateMismatch),
        ("components/0/state/included", 1, .stateMismatch), ("components/0/state/weights", -1, .stateMismatch),
        ("components/0/state/weights", .infinity, .stateMismatch), ("components/0/state/weights", .nan, .stateMismatch),
        ("components/0/state/lastWeight", -1, .stateMismatch), ("components/0/state/lastWeight", .nan, .stateMismatch),
        ("components/1/state/scale", 0, .stateMismatch), ("components/1/state/scale", -1, .stateMismatch),
        ("components/1/state/scale", .nan, .stateMismatch), ("components/1/state/scale", .real(1e30), .stateMismatch),
        ("components/1/state/appliedInARow", .max, .stateMismatch),
        ("components/1/state/appliedInARow", -1, .stateMismatch), ("components/1/state/skipsLeft", 0, .stateMismatch),
        ("components/1/state/skipsLeft", .min, .stateMismatch), ("components/1/state/skipsLeft", 3, .stateMismatch),
        ("components/1/state/smallShare", 2, .stateMismatch), ("components/1/state/largest/mean", .nan, .stateMismatch),
        ("components/1/state/largest/meanWeight", 7, .stateMismatch),
        ("components/1/state/largest/slowSquare", -1, .stateMismatch),
        ("components/2/state/next", 4, .stateMismatch), ("components/2/state/next", .max, .stateMismatch),
        ("components/2/state/next", -1, .stateMismatch), ("components/2/state/history/1", .nan, .stateMismatch),
        ("components/2/state/history/1", -1, .stateMismatch),
        ("components/2/state/history/1", .real(1e300), .stateMismatch),
        ("components/2/state/history", [1, 2, 3, 4, 5], .stateMismatch),
        ("components/3/state/mean", -1, .stateMismatch), ("components/3/state/mean", .nan, .stateMismatch),
        ("components/3/state/variance", -1, .stateMismatch),
        ("components/3/state/variance", .infinity, .stateMismatch),
        ("components/3/state/isWarm", false, .stateMismatch),
        ("components/3/state/warmup", [1], .stateMismatch), ("components/3/state", [], .stateMismatch),
        ("components/4/slots/0/name", "other", .missingParameter), ("components/4/slots/1", nil, .stateMismatch),
        ("components/4/slots/0/name", "second moment", .invalidFile),
        ("components/4/slots/0/elementType", "float16", .elementTypeMismatch),
        ("components/4/kind", "Adam", .missingParameter), ("components/2", nil, .missingParameter),
        ("components", [], .stateMismatch), ("formatVersion", 2, .unsupportedVersion),
    ]

    @Test(arguments: edits.indices) func `an edited checkpoint with right checksums is refused`(_ index: Int) throws {
        let edit = Self.edits[index]
        try save()
        _ = try resume()
        let checkpoint = try EditedCheckpoint(contentsOf: path)
        let edited = checkpoint.document.replacing(edit.path, with: edit.value)
        try #require(edited != checkpoint.document)
        _ = try folder.write(checkpoint.bytes(edited), to: "run.safetensors")
        let error = thrownError { _ = try resume() }
        let value = edit.value.map(\.description) ?? "nothing"
        #expect(error?.code == edit.code, "\(edit.path) = \(value): \(error as Any)")
    }

    @Test func `the refusal names the stage and what is wrong`() throws {
        try save()
        let checkpoint = try EditedCheckpoint(contentsOf: path)
        let edited = checkpoint.document.replacing("components/1/state/scale", with: 0)
        _ = try folder.write(checkpoint.bytes(edited), to: "run.safetensors")
        let error = thrownError { _ = try resume() }
        #expect(error?.stage == "Unscale(dynamic)")
        #expect(
            error?.message == """
                Cannot resume from "\(path)": Unscale(dynamic): what was saved cannot be resumed: the loss scale is 0.0, \
                and it has to lie between 1.0 and 16777216.0.
                """)
    }

    @Test func `a stage that refuses its state starts afresh where what fits is kept`() throws {
        try save()
        let checkpoint = try EditedCheckpoint(contentsOf: path)
        let edited = checkpoint.document.replacing("components/0/state/received", with: .max)
        _ = try folder.write(checkpoint.bytes(edited), to: "run.safetensors")
        let resumed = try resume(Self.stages, .matchingStages)
        #expect(resumed.appliedSteps == 6)
        #expect(resumed.lossScale == 16)
        #expect(resumed.slot(named: "\(Self.stages[0].name).sum")?.bits.allSatisfy { $0 == 0 } == true)
        #expect(resumed.slot(named: "AdamW.first moment")?.bits.contains { $0 != 0 } == true)
    }

    @Test func `a scale that pipelines share stays as it is when it cannot be resumed`() throws {
        let scale = try SharedLossScale(.dynamic(initial: 32))
        try save([Unscale(try SharedLossScale(.dynamic(initial: 64)))], windows: 1)
        let checkpoint = try EditedCheckpoint(contentsOf: path)
        for policy in [ResumptionPolicy.sameStages, .matchingStages] {
            let edited = checkpoint.document.replacing("components/0/state/skipsLeft", with: 0)
            _ = try folder.write(checkpoint.bytes(edited), to: "run.safetensors")
            let error = thrownError { _ = try resume([Unscale(scale)], policy) }
            #expect(error?.code == (policy == .sameStages ? .stateMismatch : nil))
            #expect(scale.scale == 32)
        }
    }

    @Test func `a history that may have become longer goes on in order of age`() throws {
        try save([ClipByPercentile(50, historyLength: 4)], windows: 1)
        let saved = try EditedCheckpoint(contentsOf: path).document["components"]?[0]?["state"]
        #expect(saved?["next"] == 2)
        let oldest = saved?["history"]?[2]
        let pipeline = try resume([ClipByPercentile(50, historyLength: 9)])
        try pipeline.checkpoint(to: path)
        let resumed = try EditedCheckpoint(contentsOf: path).document["components"]?[0]?["state"]
        #expect(resumed?["history"]?[0] == oldest)
        #expect(resumed?["next"] == 0)
        #expect(thrownError { _ = try resume([ClipByPercentile(50, historyLength: 3)]) }?.code == .stateMismatch)
    }

    @Test func `norms that are not finite are let through, and leave no state that cannot be resumed`() throws {
        let stages: [any Stage] = [ClipByPercentile(50), ClipByZScore(warmup: 2)]
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try Pipeline(for: parameters, configuration: .init(nonFinite: .propagate)) {
            stages
        } driving: {
            AdamW()
        }
        for step in 0..<6 as Range<UInt64> {
            var gradients = TensorSet.random(layout, seed: step)
            if step % 2 == 0 { gradients[layout[0].name][0] = step == 0 ? .nan : .infinity }
            _ = try pipeline.step(&parameters, gradients: gradients)
            try pipeline.checkpoint(to: path)
            _ = try resume(stages)
        }
    }

    // MARK: States in memory

    @Test func `buffers of other tensors than the state's are refused`() throws {
        let parameters = TensorSet(zeros: layout)
        let state = try Pipeline(for: parameters) {
        } driving: {
            AdamW()
        }.state
        let other = TensorSet(zeros: try makeLayout([[6, 4], [6]]))
        for position in 0..<2 {
            var slots = state.components[0].slots
            slots[position] = SavedSlot(name: slots[position].name, tensors: other)
            let error = thrownError { _ = try resumeByHand(state, slots: slots) }
            #expect(error?.code == .shapeMismatch)
            #expect(error?.parameter == layout[0].name)
            #expect(error?.message.contains(slots[position].name) == true)
        }
        #expect(
            thrownError { _ = try resumeByHand(state, slots: [state.components[0].slots[0]]) }?.code == .stateMismatch)
    }

    @Test(arguments: [(-1, 0, 0), (Int.max, 0, 0), (0, -1, 0), (0, .max, 0), (0, 0, 1), (0, 3, -1), (0, .min, .min)])
    func `counters that no run can have reached are refused`(_ counts: (Int, Int, Int)) throws {
        let state = try Pipeline(for: TensorSet(zeros: layout)) {
        } driving: {
            AdamW()
        }.state
        let error = thrownError { _ = try resumeByHand(state, counts, slots: state.components[0].slots) }
        #expect(error?.code == .stateMismatch)
    }

    private func resumeByHand(
        _ state: PipelineState<TensorSet>, _ counts: (Int, Int, Int) = (1, 0, 0),
        slots: [SavedSlot<TensorSet>]
    ) throws -> Pipeline {
        let component = PipelineState<TensorSet>.Component(
            kind: "AdamW", name: "AdamW", state: state.components[0].state, slots: slots)
        let edited = PipelineState(
            counters: StepCounters(appliedSteps: counts.0, skippedSteps: counts.1, consecutiveSkips: counts.2),
            layout: state.layout, components: [component])
        return try Pipeline(resuming: edited, for: TensorSet(zeros: layout)) {
        } driving: {
            AdamW()
        }
    }
}

extension JSON {
    fileprivate static var max: JSON { .number(Number(Int.max)) }
    fileprivate static var min: JSON { .number(Number(Int.min)) }
    fileprivate static func real(_ value: Double) -> JSON { Number(value).map(JSON.number) ?? .null }
    // As they are written where JSON has no numbers for them.
    fileprivate static var nan: JSON { "NaN" }
    fileprivate static var infinity: JSON { "Infinity" }
}
