import DescentCore
import DescentSafetensors

/// A save that the ranks of a job make together: which shard each of them writes, and what rank 0 says of them in the index.
struct ShardedSave {
    /// The number of the save among those to its path, from 1.
    private let number: Int
    /// What stands in the index and in all of its shards, and in those of no other save.
    private let identity: String
    private let folder: ShardFolder
    private let path: String
    private let division: RowDivision
    /// Which rank writes which parameter, as a whole.
    private let owners: RowDivision

    /// Describes a save, of which the ranks know what rank 0 has drawn up.
    init(_ start: Start, in folder: ShardFolder, path: String, of layout: ParameterLayout, _ division: RowDivision) {
        (number, identity) = (start.number, String(start.identity, radix: 16))
        (self.folder, self.path, self.division) = (folder, path, division)
        owners = RowDivision(
            of: layout, among: division.rankCount, rank: division.rank,
            keepingWhole: [Bool](repeating: true, count: layout.count))
    }

    private func name(ofRank rank: Int) -> String {
        folder.name(save: number, rank: rank, of: division.rankCount)
    }

    // MARK: Shards

    /// Writes what this rank holds of a state, and those of the parameters that are its to write.
    func writeShard<Tensors>(
        of state: PipelineState<Tensors>, including parameters: Tensors?, waitingAtMost limit: Duration
    ) throws(DescentError) {
        var writer = SafetensorsWriter(metadata: [SafetensorsIndex.saveKey: identity])
        if let parameters {
            for index in state.layout.indices where owners.firstHolder(of: index) == division.rank {
                try writer.add(parameters, at: index, prefix: CheckpointRecord.parameterPrefix)
            }
        }
        for (position, component) in state.components.enumerated() {
            for slot in component.slots {
                for index in state.layout.indices {
                    let isPart =
                        slot.shape.isDividedByRows && slot.tensors.layout[index].count > 0 && division.isDivided(index)
                    guard isPart || division.firstHolder(of: index) == division.rank else { continue }
                    let prefix = CheckpointRecord.prefix(
                        ofSlot: slot.name, kind: component.kind, at: position,
                        rows: isPart ? division.own[index] : nil)
                    try writer.add(slot.tensors, at: index, prefix: prefix)
                }
            }
        }
        try writer.write(to: folder[name(ofRank: division.rank)], like: path, waitingAtMost: limit)
    }

    /// Removes this rank's shard.
    func removeShard() { folder.remove(name(ofRank: division.rank)) }

    // MARK: The index

    /// The index of all shards, which are read for it as far as their headers.
    ///
    /// - Throws: ``DescentError`` if a shard is not there, or if together they are not the state that it is to be.
    func index<Tensors>(
        of state: PipelineState<Tensors>, metadata: [String: String]
    ) throws(DescentError) -> SafetensorsIndex {
        var shards: [(name: String, file: SafetensorsFile)] = []
        var index = SafetensorsIndex()
        index.totalByteCount = 0
        for rank in 0..<division.rankCount {
            let shard = (name: name(ofRank: rank), file: try openShard(ofRank: rank))
            for entry in shard.file.entries {
                guard index.holders.updateValue(shard.name, forKey: entry.name) == nil else {
                    throw DescentError(
                        .duplicateParameter, parameter: entry.name,
                        "Rank \(rank) has saved \(entry.name.quotedBriefly), and so has another one.")
                }
                index.totalByteCount? += entry.byteCount
            }
            shards.append(shard)
        }
        index.metadata = metadata
        index.metadata[SafetensorsIndex.saveKey] = identity
        let file = try SafetensorsFile(shards, of: index, path: path)
        let record = try CheckpointRecord(state) { prefix, parameter in
            // It is in parts, or whole, where of a slot that does not work on it nothing is kept.
            file[prefix + state.layout[parameter].name].map { !$0.shape.contains(0) } ?? true
        }
        _ = try record.places(in: file, of: state.layout)
        index.metadata[CheckpointRecord.metadataKey] = try record.text()
        return index
    }

    private func openShard(ofRank rank: Int) throws(DescentError) -> SafetensorsFile {
        do throws(DescentError) {
            return try SafetensorsFile(contentsOf: folder[name(ofRank: rank)])
        } catch {
            guard error.code == .fileAccess else { throw error }
            throw DescentError(
                .fileAccess,
                "Rank \(rank) has written its part, and rank 0 does not find it: all ranks have to save to the same path, in "
                    + "a folder that they share. \(error.message)")
        }
    }
}

// MARK: How it starts

extension ShardedSave {
    /// What ranks tell each other before they write.
    struct Start {
        /// How many numbers it is sent as.
        static let count = 5

        private let appliedSteps: Int
        private let skippedSteps: Int
        /// The number of the save; rank 0's counts.
        var number = 0
        /// What tells the save from all others; rank 0's counts.
        var identity: UInt64 = 0

        init(at counters: StepCounters) {
            (appliedSteps, skippedSteps) = (counters.appliedSteps, counters.skippedSteps)
        }

        /// As it is sent; a `Double` holds half of an identity without rounding.
        var numbers: [Double] {
            [appliedSteps, skippedSteps, number, Int(identity >> 32), Int(identity & 0xffff_ffff)].map { Double($0) }
        }

        init(_ numbers: [Double]) {
            (appliedSteps, skippedSteps, number) = (Int(numbers[0]), Int(numbers[1]), Int(numbers[2]))
            identity = UInt64(numbers[3]) << 32 | UInt64(numbers[4])
        }

        /// Refuses ranks that have done different numbers of steps.
        static func requireSameStep(_ starts: [Start]) throws(DescentError) {
            let first = starts[0]
            for (rank, other) in starts.enumerated()
            where (other.appliedSteps, other.skippedSteps) != (first.appliedSteps, first.skippedSteps) {
                throw DescentError(
                    .stateMismatch,
                    "Rank \(rank) has applied \(other.appliedSteps) steps and skipped \(other.skippedSteps), rank 0 "
                        + "\(first.appliedSteps) and \(first.skippedSteps): what they hold is no state of one run.")
            }
        }
    }
}

extension ShardFolder {
    /// Removes what killed saves have left beside an index.
    ///
    /// - Returns: The number of the save that begins, larger than any before, and the names of the index's shards, to be
    ///   removed when it has another one. Of an index that cannot be read nothing is removed: somebody may mend it.
    func clear(forSavingTo path: String) throws(DescentError) -> (save: Int, former: [String]) {
        let found = try shards()
        let save = (found.map(\.save).max() ?? 0) + 1
        guard let former = try? Set(SafetensorsIndex(at: path)?.fileNames ?? []) else { return (save, []) }
        for shard in found where !former.contains(shard.fileName) { remove(shard.fileName) }
        return (save, found.map(\.fileName).filter(former.contains))
    }
}
