import Descent
import DescentDistributed
import DistributedScenarios
import Foundation
import SeededNumbers
import Testing

/// One checkpoint of a job, from which a job of any number of ranks goes on.
@Suite struct JobCheckpointTests {
    /// A rank of a job: its parameters and its pipeline.
    private struct Trainee {
        var parameters: TensorSet
        var pipeline: Pipeline

        /// Begins to train, or goes on from a checkpoint; alone where there is no world.
        init(_ world: ProcessGroup?, resuming path: String? = nil, hasAdapter: Bool = false) throws {
            let layout = try Self.layout(hasAdapter: hasAdapter)

            var parameters = path == nil ? random(layout, seed: 1) : TensorSet(zeros: layout)
            let configuration = PipelineConfiguration(
                sharding: world.map { .optimizerState(over: $0, bucketLength: 700) })
            let stages: [any Stage] = [
                Accumulate(steps: 3), AddNoise(eta: 0.01, seed: 5), Centralize(), ClipByGlobalNorm(1),
                TopK(share: 0.5).only(prefix: "whole"),
            ]
            let optimizer = AdamW(learningRate: 0.01, moments: .int8).then { ExponentialMovingAverage(decay: 0.9) }
            let backend = SIMDBackend(threads: 1)
            if let path {
                pipeline = try Pipeline(
                    resuming: path, restoring: &parameters, configuration: configuration, on: backend
                ) {
                    stages
                } driving: {
                    optimizer
                }
            } else {
                pipeline = try Pipeline(for: parameters, configuration: configuration, on: backend) {
                    stages
                } driving: {
                    optimizer
                }
            }
            self.parameters = parameters
        }

        /// The parameters, with one more at their beginning if there is an adapter.
        static func layout(hasAdapter: Bool) throws -> ParameterLayout {
            try ParameterLayout(
                (hasAdapter ? [ParameterDescription("adapter", shape: [7, 5])] : []) + [
                    ParameterDescription("embedding", shape: [40, 130]),
                    ParameterDescription("hidden.weight", shape: [33, 4]),
                    ParameterDescription("hidden.bias", shape: [33]), ParameterDescription("nothing", shape: [0, 4]),
                    ParameterDescription("whole", shape: [12, 9]),
                ])
        }

        /// Goes on with an adapter beside the parameters.
        mutating func addAdapter() throws {
            let former = parameters
            parameters = random(try Self.layout(hasAdapter: true), seed: 2)
            for parameter in former.layout { parameters[parameter.name] = former[parameter.name] }
            try pipeline.relayout(for: parameters)
        }

        /// Takes micro-batches, the same on every rank.
        mutating func train(_ microBatches: Range<Int>) throws {
            for microBatch in microBatches {
                _ = try pipeline.step(&parameters, gradients: random(parameters.layout, seed: 10 + microBatch))
            }
        }

        func save(to path: String) throws {
            try pipeline.checkpoint(to: path, including: parameters, metadata: ["epoch": "3"])
        }
    }

    /// Runs a job, and gives what the first rank ends with.
    private func run(ranks: Int, _ body: @escaping @Sendable (ProcessGroup) throws -> TensorSet) throws -> TensorSet {
        let results = try ThreadJob.run(ranks: ranks, body).map { try $0.get() }
        #expect(results.allSatisfy { $0 == results[0] })
        return results[0]
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "descent-job-\(UInt64.random(in: 0...(.max)))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    @Test(arguments: 1...4)
    func `a job goes on from its checkpoint on any number of ranks`(ranks: Int) throws {
        try withFolder { folder in
            let (path, single) = ("\(folder)/run.safetensors", "\(folder)/single.safetensors")
            // In the middle of a window.
            let undisturbed = try run(ranks: ranks) { world in
                var trainee = try Trainee(world)
                try trainee.train(0..<7)
                try trainee.save(to: path)
                try trainee.train(7..<15)
                return trainee.parameters
            }
            // One process reads all of it, and writes it to one file.
            let whole = try Trainee(nil, resuming: path)
            try whole.save(to: single)
            #expect(try Checkpoint(contentsOf: path).metadata == ["epoch": "3"])
            #expect(whole.pipeline.appliedSteps == 2 && whole.pipeline.window?.received == 1)
            for others in 1...4 {
                func resumed(from path: String) throws -> TensorSet {
                    try run(ranks: others) { world in
                        var trainee = try Trainee(world, resuming: path)
                        try trainee.train(7..<15)
                        return trainee.parameters
                    }
                }
                let parameters = try resumed(from: path)
                if others == ranks { #expect(parameters == undisturbed) }
                let same = try resumed(from: single)
                #expect(parameters == same, "\(others) ranks, from shards and from one file")
                let distance = parameters.layout.reduce(Float(0)) { largest, parameter in
                    zip(parameters[parameter.name], undisturbed[parameter.name]).reduce(largest) {
                        max($0, abs($1.0 - $1.1))
                    }
                }
                #expect(distance < 0.02, "\(others) ranks: \(distance) from those of \(ranks)")
            }
        }
    }

    @Test func `one process changes the parameters of a job's checkpoint, and a job goes on with those`() throws {
        try withFolder { folder in
            let (path, changed) = ("\(folder)/run.safetensors", "\(folder)/changed.safetensors")
            _ = try run(ranks: 3) { world in
                var trainee = try Trainee(world)
                try trainee.train(0..<6)
                #expect(throws: DescentError.self) { try trainee.pipeline.relayout(for: trainee.parameters) }
                try trainee.save(to: path)
                return trainee.parameters
            }
            var alone = try Trainee(nil, resuming: path)
            try alone.addAdapter()
            try alone.save(to: changed)
            try alone.train(6..<12)
            let parameters = try run(ranks: 2) { world in
                var trainee = try Trainee(world, resuming: changed, hasAdapter: true)
                try trainee.train(6..<12)
                #expect(trainee.pipeline.appliedSteps == 4)
                return trainee.parameters
            }
            for parameter in parameters.layout {
                let distances = zip(parameters[parameter.name], alone.parameters[parameter.name]).map { abs($0 - $1) }
                #expect(distances.allSatisfy { $0 < 1e-5 }, "\(parameter.name)")
            }
        }
    }

    @Test func `a checkpoint that one rank cannot write is an error on all, and leaves the one before`() throws {
        try withFolder { folder in
            let path = "\(folder)/run.safetensors"
            let codes = try ThreadJob.run(ranks: 3) { world -> DescentError.Code? in
                var trainee = try Trainee(world)
                try trainee.train(0..<3)
                try trainee.save(to: path)
                try trainee.train(3..<6)
                do {
                    // A path that leads nowhere on one rank.
                    try trainee.save(to: world.rank == 1 ? "\(folder)/missing/run.safetensors" : path)
                } catch let error as DescentError {
                    try trainee.train(6..<9)
                    return error.code
                }
                return nil
            }.map { try $0.get() }
            #expect(codes == [.fileAccess, .fileAccess, .fileAccess])
            #expect(try Trainee(nil, resuming: path).pipeline.appliedSteps == 1)
        }
    }
}

private func random(_ layout: ParameterLayout, seed: Int) -> TensorSet {
    var generator = SeededGenerator(seed: UInt64(seed))
    var tensors = TensorSet(zeros: layout)
    for parameter in layout {
        tensors[parameter.name] = (0..<parameter.count).map { _ in Float.random(in: -1...1, using: &generator) }
    }
    return tensors
}
