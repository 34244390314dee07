import AllocationCounter
import Descent
import DescentCheckpoints
import DescentCore
import DescentJSON
import Foundation
import TestSupport
import Testing

/// Checkpoints of several processes of which a part is missing, damaged, of another save, or lies.
@Suite struct DamagedShardTests {
    private let folder: TemporaryFolder
    private let layout: ParameterLayout
    private let state: PipelineState<TensorSet>
    private var path: String { folder[Self.indexName] }
    private static let indexName = "run.safetensors.index.json"
    private let shards = ["run-00001-1-of-2.safetensors", "run-00001-2-of-2.safetensors"]

    init() throws {
        folder = try TemporaryFolder()
        layout = try makeLayout([[6, 5], [6]])
        state = try SavedStates.everything(of: layout, seed: 1)
        for error in state.write(to: folder[Self.indexName], ranks: 2) { try #require(error == nil) }
    }

    /// Why the checkpoint cannot be read; nil if it can.
    private func error() -> DescentError? {
        thrownError {
            let found = try Checkpoint(contentsOf: path).state(on: SIMDBackend())
            try #require(try found.contents == state.contents)
        }
    }

    @Test func `a shard that is missing is named`() throws {
        #expect(error() == nil)
        try FileManager.default.removeItem(atPath: folder[shards[1]])
        #expect(error()?.code == .fileAccess)
        #expect(error()?.message == "Cannot read \"\(folder[shards[1]])\": No such file or directory.")
    }

    @Test func `a shard of another save, of another job or of another rank is named`() throws {
        let own = try folder.read(shards[1])
        let other = try TemporaryFolder()
        for ended in state.write(to: other[Self.indexName], ranks: 2) { try #require(ended == nil) }
        // The same state, the same name, and the same bytes but for those that say which save it is.
        _ = try folder.write(other.read(shards[1]), to: shards[1])
        #expect(error()?.code == .invalidFile)
        #expect(
            error()?.message
                == "\"\(folder[shards[1]])\" does not belong to \"\(path)\": it was written by another save, or by another job."
        )
        _ = try folder.write(folder.read(shards[0]), to: shards[1])
        #expect(error()?.message.contains("is in \"\(shards[1])\", which has no such tensor") == true)
        try TensorSet.random(layout, seed: 1).save(to: folder[shards[1]])
        #expect(error()?.message.contains("does not belong to") == true)
        _ = try folder.write(own, to: shards[1])
        #expect(error() == nil)
    }

    @Test func `a shard that is cut short anywhere is refused by name`() throws {
        let bytes = try folder.read(shards[0])
        for count in stride(from: 0, to: bytes.count, by: 97) {
            _ = try folder.write(Array(bytes[..<count]), to: shards[0])
            #expect(error()?.code == .invalidFile)
            #expect(error()?.message.contains(folder[shards[0]]) == true)
        }
    }

    @Test func `damage to any file is found, by a rank that reads it, too`() throws {
        var generator = SeededGenerator(seed: 1)
        for name in shards + [Self.indexName] {
            let bytes = try folder.read(name)
            for _ in 0..<60 {
                var damaged = bytes
                let place = Int.random(in: damaged.indices, using: &generator)
                // White space between the lines of an index may become other white space.
                guard bytes[place] != UInt8(ascii: "\n") else { continue }
                damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                _ = try folder.write(damaged, to: name)
                #expect(error() != nil, "byte \(place) of \(name)")
                let found = (0..<2).filter { rank in
                    thrownError {
                        let division = RowDivision(of: layout, among: 2, rank: rank)
                        _ = try Checkpoint(contentsOf: path).state(on: SIMDBackend(), division: division)
                    } != nil
                }
                #expect(!found.isEmpty, "byte \(place) of \(name)")
            }
            _ = try folder.write(bytes, to: name)
        }
        #expect(error() == nil)
    }

    /// Changes the index, and puts its checksum right.
    private func edit(_ change: (inout SafetensorsIndex, inout JSON) throws -> Void) throws -> DescentError? {
        let bytes = try folder.read(Self.indexName)
        var index = try SafetensorsIndex(json: bytes)
        var document = try JSON(parsing: index.metadata["descent.checkpoint"] ?? "")
        try change(&index, &document)
        index.metadata["descent.checkpoint"] = document.description
        _ = try folder.write(index.bytes(), to: Self.indexName)
        defer { _ = try? folder.write(bytes, to: Self.indexName) }
        return error()
    }

    @Test(arguments: [[0, 3], [0, 6, 3], [3, 6], [0, 3, 3, 6], [0, 3, 9], [], [0], [-1, 3, 6], [0, 2, 4, 7]])
    func `parts that overlap or leave rows out are refused`(_ bounds: [Int]) throws {
        let error = try edit { _, document in
            document = document.replacing("parameters/0/bounds", with: .array(bounds.map { JSON.number(.init($0)) }))
        }
        #expect(error?.code == .invalidFile)
        #expect(error?.message.contains("parts overlap, or leave rows out") == true, "\(error?.message ?? "")")
    }

    @Test func `bounds at which nothing was divided are refused, with a tensor that is missing`() throws {
        for bounds in [[0, 2, 6], [0, 1, 3, 6], [0, 6]] {
            let error = try edit { _, document in
                document = document.replacing(
                    "parameters/0/bounds", with: .array(bounds.map { JSON.number(.init($0)) }))
            }
            #expect(error?.code == .missingParameter)
            #expect(error?.message.contains("[0:\(bounds[1])]/layer0.weight") == true)
        }
        let none = try edit { _, document in document = document.replacing("parameters/0/bounds", with: nil) }
        #expect(none?.code == .missingParameter)
    }

    @Test func `bounds of what has no rows, and such as are no numbers, are refused`() throws {
        for (path, value) in [
            ("parameters/0/bounds", "rows"), ("parameters/0/bounds", ["0", "6"]), ("parameters/0/bounds", [.null, 6]),
            ("parameters/0/outputAxis", "last"),
        ] as [(String, JSON)] {
            let error = try edit { _, document in document = document.replacing(path, with: value) }
            #expect(error?.code == .invalidFile)
        }
    }

    @Test func `tensors that are left out of the index, or of no slot, are refused by name`() throws {
        let part = "0 Part0/row float32[3:6]/layer0.weight"
        let missing = try edit { index, _ in index.holders[part] = nil }
        #expect(missing?.code == .missingParameter && missing?.parameter == part)
        let elsewhere = try edit { index, _ in index.holders[part] = shards[0] }
        #expect(elsewhere?.code == .invalidFile && elsewhere?.parameter == part)
        let unknown = try edit { _, document in
            for path in ["components/2", "components/1", "parameters/1"] {
                document = document.replacing(path, with: nil)
            }
        }
        #expect(unknown?.code == .unexpectedParameter)
        #expect(unknown?.message.contains("layer0.bias") == true)
        let unbound = try edit { index, _ in index.metadata["descent.save"] = "0" }
        #expect(unbound?.message.contains("does not belong to") == true)
    }

    @Test func `an index without checksums is no checkpoint`() throws {
        let text = String(decoding: try folder.read(Self.indexName), as: UTF8.self)
        let bare = text.replacing(/"descent.checksum":"[0-9a-f]*",\n/, with: "")
        try #require(bare != text)
        _ = try folder.write(Array(bare.utf8), to: Self.indexName)
        #expect(error()?.message.contains("its checksums are missing") == true)
    }

    @Test func `a rank takes no more memory at once than the largest tensor that it holds, or a mebibyte`() throws {
        let layout = try makeLayout([[1_200, 1_000]])
        let tensors = TensorSet.random(layout, seed: 1)
        let state = PipelineState<TensorSet>(
            counters: StepCounters(), layout: layout,
            components: [
                .init(kind: "K", name: "K", state: LiveState(value: 0), slots: [SavedSlot(name: "s", tensors: tensors)])
            ])
        try state.write(to: path)
        let checkpoint = try Checkpoint(contentsOf: path)
        _ = descent_take_largest_allocation()
        let division = RowDivision(of: layout, among: 4, rank: 2)
        let part = try checkpoint.state(on: SIMDBackend(), division: division)
        let largest = descent_take_largest_allocation()
        // A quarter of 4.8 MB, and what allocators add.
        #expect(largest < 1_210_000, "\(largest)")
        #expect(try part.contents == state.part(division).contents)
    }
}
