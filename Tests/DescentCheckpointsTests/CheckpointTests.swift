import Descent
import DescentCore
import DescentJSON
import Foundation
import TestSupport
import Testing

/// Pipelines that go on from a file.
@Suite struct CheckpointTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("descent-\(UUID())").path
    private let layout: ParameterLayout
    private var path: String { folder + "/run.safetensors" }

    init() throws {
        layout = try makeLayout([[6, 5], [6], []])
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func withFolder(_ body: () throws -> Void) rethrows {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body()
    }

    @Test(arguments: 0..<60 as Range<UInt64>) func `resumed from a file after any step, training gives the same bits`(
        _ seed: UInt64
    ) throws {
        try withFolder {
            let test = try RandomCase(seed: seed)
            let backend = SIMDBackend(threads: 2, blockLength: 24, elementsPerThread: 16)
            var parameters = TensorSet.random(test.layout, seed: seed)
            var undisturbed = try Pipeline(for: parameters, on: backend) {
                test.stages
            } driving: {
                test.optimizer
            }
            try undisturbed.checkpoint(to: path, including: parameters)
            var restored = TensorSet(zeros: test.layout)
            for step in 0..<8 as Range<UInt64> {
                let gradients = test.gradients(seed: seed &* 100 &+ step, spoiled: true)
                var resumed = try Pipeline(resuming: path, restoring: &restored, on: backend) {
                    test.stages
                } driving: {
                    test.optimizer
                }
                let expected = try undisturbed.step(&parameters, gradients: gradients, weight: Double(step + 1))
                let outcome = try resumed.step(&restored, gradients: gradients, weight: Double(step + 1))
                #expect(outcome.details == expected.details, "step \(step) of \(test.description)")
                #expect(restored.bits == parameters.bits, "step \(step) of \(test.description)")
                try resumed.checkpoint(to: path, including: restored)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["run.safetensors"])
        }
    }

    @Test func `a stage's state of any kind survives`() throws {
        try withFolder {
            var parameters = TensorSet.random(layout, seed: 1)
            let state = Peculiar.State(
                seed: .max, numbers: [.nan, .infinity, -.infinity, -0.0, .leastNonzeroMagnitude, 0.1],
                text: ["\u{1F388}\"\\\n": nil, "": "x"])
            var stage = Peculiar()
            stage.state = state
            var pipeline = try Pipeline(for: parameters) {
                stage
            } driving: {
                SGD(learningRate: 0.1)
            }
            _ = try pipeline.step(&parameters, gradients: .random(layout, seed: 2))
            try pipeline.checkpoint(to: path)
            let resumed = try Pipeline(resuming: path, for: parameters) {
                Peculiar()
            } driving: {
                SGD(learningRate: 0.1)
            }
            let found = try resumed.state.components[0].state.value(as: Peculiar.State.self)
            #expect(found.seed == state.seed)
            #expect(found.numbers.map(\.description) == state.numbers.map(\.description))
            #expect(found.text == state.text)
        }
    }

    @Test func `other programs find plain tensors, with names that say whose they are`() throws {
        try withFolder {
            let parameters = TensorSet.random(layout, seed: 1)
            let pipeline = try Pipeline(for: parameters) {
                Accumulate(steps: 2)
            } driving: {
                AdamW(moments: .bfloat16)
            }
            try pipeline.checkpoint(to: path, including: parameters)
            let file = try SafetensorsFile(contentsOf: path)
            let name = layout[0].name
            #expect(file["parameters/\(name)"]?.shape == [6, 5])
            #expect(file["0 Accumulate/sum/\(name)"]?.type == .float32)
            #expect(file["1 AdamW/second moment/\(name)"]?.type == .bfloat16)
            #expect(file.entries.count == 4 * layout.count)
            var loaded = TensorSet(zeros: layout)
            try loaded.load(from: file, prefix: "parameters/")
            #expect(loaded.bits == parameters.bits)
        }
    }

    @Test func `parameters that were not saved are missed, and stay as they are`() throws {
        try withFolder {
            var parameters = TensorSet.random(layout, seed: 1)
            let bits = parameters.bits
            try Pipeline(for: parameters) {
            } driving: {
                AdamW()
            }.checkpoint(to: path)
            let error = thrownError {
                _ = try Pipeline(resuming: path, restoring: &parameters) {
                } driving: {
                    AdamW()
                }
            }
            #expect(error?.code == .missingParameter)
            #expect(error?.message.hasPrefix("Cannot resume from \"\(path)\": ") == true)
            #expect(parameters.bits == bits)
        }
    }

    @Test func `a changed chain is refused, with the path and the difference`() throws {
        try withFolder {
            let parameters = TensorSet.random(layout, seed: 1)
            try Pipeline(for: parameters) {
                Centralize()
            } driving: {
                AdamW()
            }.checkpoint(to: path)
            let error = thrownError {
                _ = try Pipeline(resuming: path, for: parameters) {
                    Normalize()
                } driving: {
                    AdamW()
                }
            }
            #expect(error?.code == .stateMismatch)
            #expect(
                error?.message == """
                    Cannot resume from "\(path)": The state is that of another chain. Saved: Centralize, AdamW. \
                    Now: Normalize, AdamW. Since then, removed: Centralize; added: Normalize. Build the chain that was \
                    saved, or resume `.matchingStages`.
                    """)
            let resumed = try Pipeline(resuming: path, .matchingStages, for: parameters) {
                Normalize()
            } driving: {
                AdamW()
            }
            #expect(resumed.appliedSteps == 0)
        }
    }

    @Test func `a chain alone is saved, too`() throws {
        try withFolder {
            var chain = try Chain(for: layout) { Accumulate(steps: 2) }
            var (gradients, same) = (TensorSet.random(layout, seed: 1), TensorSet.random(layout, seed: 2))
            _ = try chain.transform(&gradients)
            try chain.checkpoint(to: path)
            var resumed = try Chain(resuming: path, for: layout) { Accumulate(steps: 2) }
            gradients = same
            _ = try chain.transform(&gradients)
            #expect(try resumed.transform(&same).isApplied)
            #expect(same.bits == gradients.bits)
        }
    }

    // MARK: Files that are not what they should be

    @Test func `a file without a state, of another version, or that is none is refused`() throws {
        try withFolder {
            let parameters = TensorSet.random(layout, seed: 1)
            func resume() throws {
                _ = try Pipeline(resuming: path, for: parameters) {
                } driving: {
                    AdamW()
                }
            }
            #expect(thrownError(resume)?.code == .fileAccess)
            #expect(thrownError(resume)?.message.contains(path) == true)
            try parameters.save(to: path)
            #expect(thrownError(resume)?.code == .invalidFile)
            #expect(thrownError(resume)?.message.contains("not the state of a pipeline") == true)
            for (version, code) in [
                ("2", DescentError.Code.unsupportedVersion), ("0", .unsupportedVersion), ("[]", .invalidFile),
            ] {
                try parameters.save(to: path, metadata: ["descent.checkpoint": "{\"formatVersion\": \(version)}"])
                #expect(thrownError(resume)?.code == code)
            }
            #expect(thrownError(resume)?.message.contains("in which version") == true)
            try parameters.save(to: path, metadata: ["descent.checkpoint": "{\"formatVersion\": 1}"])
            #expect(thrownError(resume)?.message.contains("appliedSteps") == true)
        }
    }

    @Test func `damage anywhere is found`() throws {
        try withFolder {
            var parameters = TensorSet.random(layout, seed: 1)
            var pipeline = try Pipeline(for: parameters) {
                Accumulate(steps: 2)
            } driving: {
                AdamW()
            }
            for step in 0..<3 as Range<UInt64> {
                _ = try pipeline.step(&parameters, gradients: .random(layout, seed: step))
            }
            try pipeline.checkpoint(to: path, including: parameters)
            let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
            var generator = SeededGenerator(seed: 1)
            for _ in 0..<400 {
                var damaged = bytes
                let place = Int.random(in: damaged.indices, using: &generator)
                damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                try Data(damaged).write(to: URL(fileURLWithPath: path))
                var restored = parameters
                let error = thrownError {
                    _ = try Pipeline(resuming: path, restoring: &restored) {
                        Accumulate(steps: 2)
                    } driving: {
                        AdamW()
                    }
                }
                #expect(error != nil, "a bit was flipped in byte \(place)")
                #expect(restored.bits == parameters.bits)
            }
        }
    }

    @Test func `what cannot be written is an error with the path, and the old checkpoint stays`() throws {
        try withFolder {
            let parameters = TensorSet.random(layout, seed: 1)
            let pipeline = try Pipeline(for: parameters) {
            } driving: {
                AdamW()
            }
            let missing = thrownError { try pipeline.checkpoint(to: folder + "/nowhere/run.safetensors") }
            #expect(missing?.code == .fileAccess)
            #expect(
                missing?.message == """
                    Cannot write "\(folder)/nowhere/run.safetensors": there is no folder "\(folder)/nowhere"; make it first.
                    """)
            #expect(thrownError { try pipeline.checkpoint(to: folder) }?.code == .fileAccess)
            try pipeline.checkpoint(to: path)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let other = TensorSet(zeros: try makeLayout([[2]]))
            #expect(thrownError { try pipeline.checkpoint(to: path, including: other) }?.code == .shapeMismatch)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
        }
    }

    @Test func `parameters that were not saved cannot be restored, and what to do is said`() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "descent-\(UInt64.random(in: 0...(.max)))")
            .path
        defer { try? FileManager.default.removeItem(atPath: path) }
        var parameters = try TensorSet([ParameterDescription("weight", shape: [2])])
        try Pipeline(for: parameters) {
        } driving: {
            AdamW()
        }.checkpoint(to: path)
        let error = #expect(throws: DescentError.self) {
            _ = try Pipeline(resuming: path, restoring: &parameters) {
            } driving: {
                AdamW()
            }
        }
        #expect(error?.code == .missingParameter)
        #expect(error?.message.contains("including: parameters") == true, "\(String(describing: error))")
    }

    /// A stage with a state that is hard to write down.
    private struct Peculiar: GradientTransform {
        struct State: Codable, Sendable {
            var seed: UInt64 = 0
            var numbers: [Double] = []
            var text: [String: String?] = [:]
        }
        var state = State()
        func transform(_ block: inout some GradientBlock) { block.scale(by: 2) }
    }
}
