import DescentCore

/// What ranks that work on rows of their own give to each other besides gradients.
extension WindowExchange {
    /// Gives the numbers of all ranks, in their order.
    ///
    /// In the middle of a step, where no error can be thrown: then they are NaN, and ``requireGathered()`` throws it.
    func gather(_ values: [Double]) -> [[Double]] {
        let unknown = [values.map { _ in Double.nan }]
        guard failure == nil else { return unknown }
        do throws(DescentError) {
            try group.agree(on: Announcement(.share, exchange: number, digest: UInt64(values.count)))
            return try group.gather(values.withUnsafeBytes { Array($0) }).map { bytes in
                bytes.withUnsafeBytes { bytes in
                    values.indices.map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self) }
                }
            }
        } catch {
            failure = error
            return unknown
        }
    }

    /// Throws what has gone wrong where no error could be thrown.
    func requireGathered() throws(DescentError) {
        guard let failure else { return }
        self.failure = nil
        throw failure
    }

    /// Gives every rank all rows, of which each has some: while a bucket moves, the next one is filled.
    func gatherRows(of tensors: inout some TensorStorage) throws(DescentError) {
        try requireGathered()
        var moving: (bucket: Int, memory: BucketMemory, transfer: Transfer)?
        for bucket in plan.shardLengths.indices {
            let next = try begin(bucket, of: tensors)
            if let moving { try finish(moving, into: &tensors) }
            moving = next
        }
        if let moving { try finish(moving, into: &tensors) }
    }

    /// Begins to send this rank's shard of a bucket.
    private func begin(
        _ bucket: Int, of tensors: some TensorStorage
    ) throws(DescentError) -> (bucket: Int, memory: BucketMemory, transfer: Transfer) {
        let (memory, size) = (pool.take(), tensors.elementType.byteCount)
        let byteCount = plan.shardLengths[bucket] * size
        let start = group.rank * plan.shardLengths[bucket]
        for segment in segments.own[bucket] {
            try tensors.withBytes(of: segment.parameter) { bytes in
                let part = bytes[segment.elements.lowerBound * size..<segment.elements.upperBound * size]
                UnsafeMutableRawBufferPointer(
                    start: memory.received + (segment.offset - start) * size, count: part.count
                ).copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
            }
        }
        let transfer = try group.beginGathering(
            UnsafeRawBufferPointer(start: memory.received, count: byteCount),
            into: UnsafeMutableRawBufferPointer(start: memory.contents, count: byteCount * group.rankCount),
            on: channels.gathering)
        memory.isLent = true
        return (bucket, memory, transfer)
    }

    /// Waits for the shards of all ranks, and writes down their rows.
    private func finish(
        _ moving: (bucket: Int, memory: BucketMemory, transfer: Transfer), into tensors: inout some TensorStorage
    ) throws(DescentError) {
        try group.wait(for: moving.transfer)
        moving.memory.isLent = false
        let size = tensors.elementType.byteCount
        for segment in segments.others[moving.bucket] {
            try tensors.withMutableBytes(of: segment.parameter) { bytes in
                let part = bytes.part(segment.elements, size)
                part.copyMemory(
                    from: UnsafeRawBufferPointer(
                        start: moving.memory.contents + segment.offset * size, count: part.count))
            }
        }
        pool.add(moving.memory)
    }
}
