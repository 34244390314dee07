import Descent
import DescentCheckpoints
import DescentCore
import Foundation
import TestSupport
import Testing

/// Checkpoints that several processes write together, here threads.
@Suite struct ShardedCheckpointTests {
    private let folder: TemporaryFolder
    private var path: String { folder["run.safetensors.index.json"] }

    init() throws { folder = try TemporaryFolder() }

    private func write(_ state: PipelineState<TensorSet>, ranks: Int, including parameters: TensorSet? = nil) throws {
        let isWhole = state.layout.indices.map { $0 % 5 == 2 }
        for error in state.write(to: path, ranks: ranks, including: parameters, keepingWhole: isWhole) {
            try #require(error == nil)
        }
    }

    // MARK: The same bits

    @Test(arguments: 1...5)
    func `what any number of processes wrote, one reads, and any other number, with the same bits`(
        _ writers: Int
    ) throws {
        let layout = try SavedStates.layout()
        let state = try SavedStates.everything(of: layout, seed: UInt64(writers))
        let parameters = TensorSet.random(layout, seed: 9)
        try write(state, ranks: writers, including: parameters)
        let checkpoint = try Checkpoint(contentsOf: path)
        let whole = try checkpoint.state(on: SIMDBackend())
        #expect(try whole.contents == state.contents)
        #expect(whole.counters == state.counters)
        #expect(whole.division == nil)
        #expect(try whole.components.map { try $0.state.value(as: Int.self) } == [0, 1, 2])
        var restored = TensorSet(zeros: layout)
        try restored.load(from: checkpoint.file, prefix: "parameters/")
        #expect(restored.bits == parameters.bits)
        for readers in 1...5 {
            for rank in 0..<readers {
                let division = RowDivision(of: layout, among: readers, rank: rank)
                let part = try checkpoint.state(on: SIMDBackend(), division: division)
                #expect(try part.contents == state.part(division).contents, "rank \(rank) of \(readers)")
                #expect(part.division == division)
                #expect(part.layout == layout)
            }
        }
    }

    @Test func `what one process wrote into one file, several read, each its part`() throws {
        let layout = try SavedStates.layout()
        let state = try SavedStates.everything(of: layout, seed: 1)
        try state.write(to: path)
        let checkpoint = try Checkpoint(contentsOf: path)
        for rank in 0..<3 {
            let division = RowDivision(of: layout, among: 3, rank: rank, keepingWhole: layout.map { $0.name == "long" })
            let part = try checkpoint.state(on: SIMDBackend(), division: division)
            #expect(try part.contents == state.part(division).contents)
        }
    }

    @Test(arguments: [ElementType.float32, .bfloat16, .int8], 1...4)
    func `a run goes on in one process from what several saved in an open window`(
        _ moments: ElementType, _ ranks: Int
    ) throws {
        let layout = try makeLayout([[64, 64], [64], [10, 64], [10]])
        func make(
            _ source: String?, _ parameters: inout TensorSet
        ) throws -> Pipeline {
            let stages: [any Stage] = [
                Accumulate(steps: 3, reduction: .weighted), Unscale(.dynamic(initial: 8, growthInterval: 2)),
                ClipByPercentile(50, historyLength: 3),
            ]
            let optimizers: () -> [OptimizerBranch] = {
                [
                    AdamW(moments: moments).averagingParameters(decay: 0.9).only { $0.rank > 1 }.branches,
                    Adafactor().only { $0.rank < 2 }.branches,
                ].flatMap { $0 }
            }
            guard let source else { return try Pipeline(for: parameters, { stages }, driving: optimizers) }
            return try Pipeline(resuming: source, restoring: &parameters, { stages }, driving: optimizers)
        }
        func step(_ pipeline: inout Pipeline, _ parameters: inout TensorSet, _ range: Range<UInt64>) throws {
            for step in range {
                let gradients = TensorSet.random(layout, seed: 100 + step)
                _ = try pipeline.step(&parameters, gradients: gradients, weight: Double(1 + step % 3))
            }
        }
        var parameters = TensorSet.random(layout, seed: 1)
        var pipeline = try make(nil, &parameters)
        try step(&pipeline, &parameters, 0..<5)
        try write(pipeline.state, ranks: ranks, including: parameters)
        var restored = TensorSet(zeros: layout)
        var resumed = try make(path, &restored)
        #expect(restored.bits == parameters.bits)
        try step(&pipeline, &parameters, 5..<11)
        try step(&resumed, &restored, 5..<11)
        #expect(restored.bits == parameters.bits)
        #expect(try resumed.state.contents == pipeline.state.contents)
    }

    // MARK: Files

    @Test func `each process writes a file, and the index says what is where`() throws {
        let layout = try makeLayout([[6, 5], [6], [4, 4]])
        let state = try SavedStates.everything(of: layout, seed: 1)
        let errors = state.write(
            to: path, ranks: 3, including: .random(layout, seed: 2), metadata: ["epoch": "4"])
        #expect(errors == [nil, nil, nil])
        let shards = (1...3).map { "run-00001-\($0)-of-3.safetensors" }
        #expect(try folder.contents == shards + ["run.safetensors.index.json"])
        let index = try #require(
            try JSONSerialization.jsonObject(with: Data(folder.read("run.safetensors.index.json"))) as? [String: Any])
        let holders = try #require(index["weight_map"] as? [String: String])
        #expect(Set(holders.values) == Set(shards))
        var byteCount = 0
        for shard in shards {
            let file = try SafetensorsFile(contentsOf: folder[shard])
            #expect(Set(file.entries.map(\.name)) == Set(holders.filter { $0.value == shard }.keys))
            byteCount += file.entries.reduce(0) { $0 + $1.byteCount }
        }
        #expect((index["metadata"] as? [String: Any])?["total_size"] as? Int == byteCount)
        let checkpoint = try Checkpoint(contentsOf: path)
        #expect(checkpoint.metadata == ["epoch": "4"])
        #expect(checkpoint.file["0 Part0/row float32[2:4]/layer0.weight"]?.shape == [2])
        #expect(checkpoint.file["0 Part0/column float32/layer0.weight"]?.shape == [5])
        #expect(checkpoint.file["parameters/layer0.weight"]?.shape == [6, 5])
    }

    @Test func `parameters are dealt out by their sizes`() throws {
        let layout = try makeLayout([[100, 10], [100, 10], [100, 10], [100, 10], [10]])
        let state = PipelineState<TensorSet>(counters: StepCounters(), layout: layout, components: [])
        try write(state, ranks: 2, including: .random(layout, seed: 1))
        for rank in 1...2 {
            let file = try SafetensorsFile(contentsOf: folder["run-00001-\(rank)-of-2.safetensors"])
            #expect(8_000...8_100 ~= file.entries.reduce(0) { $0 + $1.byteCount })
        }
    }

    @Test func `a save removes the files of the one before, and a single process those of a job`() throws {
        let state = try SavedStates.everything(of: makeLayout([[6, 5]]), seed: 1)
        _ = try folder.write([1], to: "run-00001-1-of-2.safetensors.kept")
        _ = try folder.write([1], to: "run-00001.safetensors")
        let others = ["run-00001-1-of-2.safetensors.kept", "run-00001.safetensors"]
        for (save, ranks) in [1, 3, 2, 2].enumerated() {
            try write(state, ranks: ranks)
            let shards = (1...ranks).map { "run-0000\(save + 1)-\($0)-of-\(ranks).safetensors" }
            #expect(try folder.contents == (shards + others + ["run.safetensors.index.json"]).sorted())
        }
        try state.write(to: path)
        #expect(try folder.contents == others + ["run.safetensors.index.json"])
        try write(state, ranks: 1)
        #expect(try Checkpoint(contentsOf: path).state(on: SIMDBackend()).contents == state.contents)
    }

    @Test func `two indexes beside each other have files of their own`() throws {
        let state = try SavedStates.everything(of: makeLayout([[6, 5]]), seed: 1)
        let names = ["run", "run.safetensors", "run.safetensors.index.json", "run-00001-1-of-1.safetensors.index.json"]
        for _ in 0..<2 {
            for name in names { #expect(state.write(to: folder[name], ranks: 1) == [nil]) }
        }
        for name in names { _ = try Checkpoint(contentsOf: folder[name]).state(on: SIMDBackend()) }
        #expect(try folder.contents.count == 2 * names.count)
    }

    @Test func `shards are beside the index that a symbolic link leads to`() throws {
        let state = try SavedStates.everything(of: makeLayout([[6, 5]]), seed: 1)
        try FileManager.default.createDirectory(atPath: folder["real"], withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: "real/model.safetensors.index.json")
        for _ in 0..<2 { try write(state, ranks: 2) }
        #expect(try folder.contents == ["real", "run.safetensors.index.json"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder["real"]).count == 3)
        #expect(try Checkpoint(contentsOf: path).state(on: SIMDBackend()).contents == state.contents)
    }

    @Test func `shards are for nobody's eyes who may not read the index`() throws {
        let state = try SavedStates.everything(of: makeLayout([[6, 5]]), seed: 1)
        try write(state, ranks: 2)
        chmod(path, 0o600)
        try write(state, ranks: 2)
        for name in try folder.contents {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder[name])
            #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
        }
    }

    @Test func `what one process holds of a state is no checkpoint by itself`() throws {
        let layout = try makeLayout([[6, 5]])
        let part = try SavedStates.everything(of: layout, seed: 1).part(RowDivision(of: layout, among: 2, rank: 1))
        let error = thrownError { try part.write(to: path) }
        #expect(error?.code == .stateMismatch)
        #expect(error?.message.contains("rank 1 of 2") == true)
        #expect(try folder.contents.isEmpty)
    }

    @Test func `the rows of other parameters cannot be read`() throws {
        try SavedStates.everything(of: makeLayout([[6, 5]]), seed: 1).write(to: path)
        for shapes in [[[7, 5]], [[6, 5], [6]], []] {
            let division = RowDivision(of: try makeLayout(shapes), among: 2, rank: 0)
            let error = thrownError {
                _ = try Checkpoint(contentsOf: path).state(on: SIMDBackend(), division: division)
            }
            #expect(error?.code == .stateMismatch)
        }
    }
}
