package import DescentCore
import DescentSafetensors

extension PipelineState {
    /// Writes one checkpoint together with all other ranks of a job, of which each calls this.
    ///
    /// Each rank writes what it holds of the slots, and some of the parameters, to a *shard*, a file of its own beside the
    /// path. When all shards are on disk, rank 0 puts an index in place of what is at the path, which says what is in which
    /// of them, and removes the shards of the index before. So whenever ranks are killed, the path leads to a whole
    /// checkpoint: the one before, or the new one. What killed saves left is removed by the next.
    ///
    /// - Parameters:
    ///   - path: The index, the same for all ranks, in a folder that they share.
    ///   - parameters: The parameters, to be saved too, all of them by all ranks; nil for all ranks alike.
    ///   - metadata: Text of the caller's by key; rank 0's is saved.
    ///   - limit: How long to wait for another job that saves to the same path.
    ///   - gather: Gives each rank the numbers of all, by rank, when all have handed over as many.
    /// - Throws: `DescentError` on all ranks if one fails, where others name it. If there was a checkpoint before, it is
    ///   whole then, unless ranks have lost each other at the very end, where it may be the new one.
    /// - Complexity: O(n) in the bytes that the rank holds, which are not copied; four exchanges of a few numbers.
    package func write(
        to path: String, including parameters: Tensors? = nil, metadata: [String: String] = [:],
        waitingAtMost limit: Duration = .seconds(60),
        gathering gather: @escaping ([Double]) throws(DescentError) -> [[Double]]
    ) throws(DescentError) {
        let division = division ?? RowDivision(of: layout, among: 1, rank: 0)
        let ranks = RankAgreement(path: path, gather: gather)

        // Rank 0 begins with the index, which keeps other jobs from saving to the same path until it is in place.
        var replacement: AtomicFile?
        var former: [String] = []
        let begun = Result { () throws(DescentError) in
            var start = ShardedSave.Start(at: counters)
            let folder = try ShardFolder(ofIndex: path)
            guard division.rank == 0 else { return start.numbers }
            replacement = try AtomicFile.beginReplacing(path, waitingAtMost: limit)
            (start.number, former) = try folder.clear(forSavingTo: path)
            start.identity = .random(in: 0...(.max))
            return start.numbers
        }
        let starts = try ranks.share(begun, count: ShardedSave.Start.count, to: "begin to write").get()
            .map(ShardedSave.Start.init)
        try ShardedSave.Start.requireSameStep(starts)
        let folder = try ShardFolder(ofIndex: path)
        let save = ShardedSave(starts[0], in: folder, path: path, of: layout, division)

        let written = Result { () throws(DescentError) -> [Double] in
            try save.writeShard(of: self, including: parameters, waitingAtMost: limit)
            return []
        }
        // While all ranks are in touch, each knows whether an index will name its shard.
        if case .failure(let error) = try ranks.share(written, to: "write its part of") {
            save.removeShard()
            throw error
        }
        let indexed = Result { () throws(DescentError) -> [Double] in
            guard division.rank == 0 else { return [] }
            try replacement?.write(save.index(of: self, metadata: metadata).bytes())
            try replacement?.synchronize()
            return []
        }
        if case .failure(let error) = try ranks.share(indexed, to: "write the index of") {
            save.removeShard()
            throw error
        }
        let replaced = Result { () throws(DescentError) -> [Double] in
            try replacement.take()?.commit()
            return []
        }
        _ = try ranks.share(replaced, to: "put in place").get()
        for name in former { folder.remove(name) }
    }
}
