import Descent
import Foundation
import TestSupport
import Testing

/// What every pipeline promises, whatever stands in front of its optimizers and behind them.
@Suite struct ArrangementTests {
    static let places = ["front", "end", "behind"]

    private func start(_ arrangement: Arrangement, _ disturbance: Disturbance, at place: String) throws -> Training {
        try Training(
            arrangement, front: place == "front" ? [disturbance] : [], end: place == "end" ? [disturbance] : [],
            behind: place == "behind" ? [disturbance] : [])
    }

    @Test(arguments: Arrangement.all) func `the bits are the same with any number of threads, and tell of every change`(
        _ arrangement: Arrangement
    ) throws {
        var (one, many) = (try Training(arrangement, threads: 1), try Training(arrangement, threads: 4))
        let before = one.parameters.bits
        for seed in 0..<8 {
            try one.step(seed)
            try many.step(seed)
            #expect(one.result == many.result)
        }
        #expect(one.outcomes == many.outcomes)
        #expect(one.pipeline.appliedSteps == 8 / arrangement.windowLength)
        let frozen = one.layout[3].count * (arrangement.testDescription.contains("frozen") ? 1 : 0)
        let changed = zip(one.parameters.bits, before).count { $0 != $1 }
        // TopK passes on what is left in the end.
        #expect(changed >= (one.layout.elementCount - frozen) * 3 / 4)
    }

    @Test(arguments: Arrangement.all) func `the plain backend gives the same, but for the rounding of sums`(
        _ arrangement: Arrangement
    ) throws {
        var fast = try Training(arrangement)
        var parameters = PlainTensors(fast.parameters)
        var pipeline = try arrangement.makePipeline(for: parameters, on: PlainBackend())
        for seed in 0..<6 {
            _ = try pipeline.step(
                &parameters, gradients: PlainTensors(fast.gradients(seed)), weight: Double(seed + 1))
            try fast.step(seed)
        }
        #expect(
            largestDifference(Array(parameters.values.joined()), Array(fast.parameters.arrays.joined())) < 2e-5)
        for name in fast.pipeline.slotNames {
            let (plain, slot) = (
                pipeline.slot(named: name)?.values ?? [], fast.pipeline.slot(named: name)?.arrays ?? []
            )
            #expect(plain.map(\.count) == slot.map(\.count), "\(name)")
            #expect(largestDifference(Array(plain.joined()), Array(slot.joined())) < 2e-4, "\(name)")
        }
    }

    @Test(arguments: Arrangement.all) func `gradients that arrive one by one give the bits of all at once`(
        _ arrangement: Arrangement
    ) throws {
        var (whole, streamed) = (try Training(arrangement), try Training(arrangement))
        var generator = SeededGenerator(seed: 4)
        for seed in 0..<6 {
            let outcome = try whole.step(seed)
            for index in streamed.layout.indices.shuffled(using: &generator) where streamed.layout[index].count > 0 {
                try streamed.pipeline.receive(streamed.gradients(seed), of: index, weight: Double(seed + 1))
            }
            #expect(try streamed.pipeline.step(&streamed.parameters).details == outcome.details)
            #expect(streamed.result == whole.result)
        }
    }

    @Test(arguments: Arrangement.all) func `a copy made at any moment goes its own way`(_ arrangement: Arrangement)
        throws
    {
        var (undisturbed, training) = (try Training(arrangement), try Training(arrangement))
        for seed in 0..<6 {
            var copy = training
            try undisturbed.step(seed)
            // Made while gradients arrive.
            let isStreamed = seed.isMultiple(of: 2)
            if isStreamed { try training.pipeline.receive(training.gradients(seed), of: 0, weight: Double(seed + 1)) }
            var second = training
            for other in 0..<3 { try copy.step(20 + other) }
            if isStreamed {
                for index in [5, 3, 2, 1] {
                    try second.pipeline.receive(training.gradients(40), of: index, weight: Double(seed + 1))
                    try training.pipeline.receive(training.gradients(seed), of: index, weight: Double(seed + 1))
                }
                _ = try second.pipeline.step(&second.parameters)
                _ = try training.pipeline.step(&training.parameters)
            } else {
                try training.step(seed)
                try second.step(seed)
                #expect(second.result == training.result)
            }
            #expect(training.result == undisturbed.result)
            #expect(copy.result != training.result)
        }
    }

    @Test(arguments: Arrangement.all, places) func `a step that is vetoed changes nothing, and is forgotten`(
        _ arrangement: Arrangement, _ place: String
    ) throws {
        guard place != "behind" || arrangement.takesStagesBehind else { return }
        let vetoed = 3
        var undisturbed = try start(arrangement, Disturbance { _ in .none }, at: place)
        // One behind an accumulation, or in front of it, is told once a window.
        var training = try start(arrangement, Disturbance { $0 == vetoed ? .veto : .none }, at: place)
        for window in 0..<6 {
            let before = training.result
            for part in 0..<arrangement.windowLength {
                let seed = window * arrangement.windowLength + part
                // What stands before an accumulation sees every micro-batch that was part of a window.
                let outcome = try training.step(seed)
                if window != vetoed { try undisturbed.step(seed) }
                guard window == vetoed, part == arrangement.windowLength - 1 else { continue }
                guard case .skipped(let reason) = outcome else {
                    Issue.record("\(outcome)")
                    return
                }
                #expect(reason.stage == "Disturbance")
            }
            if window == vetoed, !arrangement.testDescription.contains("before") { #expect(training.result == before) }
        }
        #expect(training.pipeline.skippedSteps == 1)
        if !arrangement.testDescription.contains("before") { #expect(training.result == undisturbed.result) }
    }

    @Test(arguments: Arrangement.all, places)
    func `a throw in prepare changes nothing, and the step can be taken again`(
        _ arrangement: Arrangement, _ place: String
    ) throws {
        guard place != "behind" || arrangement.takesStagesBehind else { return }
        let isTold = Told()
        var undisturbed = try start(arrangement, Disturbance { _ in .none }, at: place)
        var training = try start(arrangement, Disturbance { _ in isTold.throwing ? .throwing : .none }, at: place)
        for seed in 0..<6 {
            try undisturbed.step(seed)
            let before = training.result
            isTold.throwing = true
            let closes = (seed + 1).isMultiple(of: arrangement.windowLength)
            if closes {
                let error = #expect(throws: DescentError.self) { try training.step(seed) }
                #expect(error?.stage == "Disturbance")
                #expect(training.result == before)
            }
            isTold.throwing = false
            try training.step(seed)
            #expect(training.result == undisturbed.result)
        }
    }

    @Test(arguments: Arrangement.all) func `NaN in a gradient skips the step and changes nothing`(
        _ arrangement: Arrangement
    ) throws {
        var (undisturbed, training) = (try Training(arrangement), try Training(arrangement))
        for window in 0..<5 {
            let before = training.result
            for part in 0..<arrangement.windowLength {
                let seed = window * arrangement.windowLength + part
                let isLast = part == arrangement.windowLength - 1
                if window == 2 {
                    let outcome = try training.step(seed) { if isLast { $0["layer1.kernel"][40] = .nan } }
                    guard isLast else { continue }
                    guard case .skipped(let reason) = outcome else {
                        Issue.record("\(outcome)")
                        return
                    }
                    #expect(reason.parameter == "layer1.kernel")
                } else {
                    try training.step(seed)
                    try undisturbed.step(seed)
                }
            }
            if window == 2, !arrangement.testDescription.contains("before") { #expect(training.result == before) }
        }
        #expect(training.pipeline.skippedSteps == 1)
        if !arrangement.testDescription.contains("before") { #expect(training.result == undisturbed.result) }
    }

    @Test(arguments: Arrangement.all) func `saved and resumed at any moment it goes on with the same bits`(
        _ arrangement: Arrangement
    ) throws {
        var undisturbed = try Training(arrangement)
        var training = try Training(arrangement)
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        for seed in 0..<7 {
            try undisturbed.step(seed)
            try training.step(seed)
            #expect(training.result == undisturbed.result)
            #expect(training.outcomes == undisturbed.outcomes)
            if seed.isMultiple(of: 2) {
                let state = try training.pipeline.state
                training.pipeline = try Pipeline(
                    resuming: state, for: training.parameters, on: Arrangement.backend(), arrangement.stages,
                    driving: { arrangement.driving([]) })
            } else {
                try training.pipeline.checkpoint(to: path, including: training.parameters)
                training.parameters = TensorSet(zeros: training.layout)
                training.pipeline = try Pipeline(
                    resuming: path, restoring: &training.parameters, on: Arrangement.backend(), arrangement.stages,
                    driving: { arrangement.driving([]) })
            }
        }
    }
}

/// Whether a stage is to throw: told between steps alone.
private final class Told: @unchecked Sendable {
    var throwing = false
}
