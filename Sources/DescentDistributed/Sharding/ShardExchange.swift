import DescentCore

/// Moves gradients to the ranks that hold their rows, and parameters back.
///
/// Two buckets are all the memory it takes: one moves while the other is filled and emptied.
///
/// It belongs to one pipeline, whose calls come from one thread at a time; that makes it safe to hand to another.
final class ShardExchange: @unchecked Sendable {
    // Unchecked because one pipeline uses it, from one thread at a time.
    let group: ProcessGroup
    let plan: ShardPlan
    private let number: UInt64
    private let channel: Channel
    private let reduction: AllReduce.Reduction
    private let buckets: [Bucket]
    /// Whether the parameters of all ranks have been compared.
    private var hasCompared = false
    /// What has gone wrong where no error could be thrown, in the middle of a step.
    private var failure: DescentError?

    /// Connects to the other ranks.
    ///
    /// - Throws: `DescentError` with code `processMismatch` if they train something else.
    init(
        of layout: ParameterLayout, as setup: PipelineSetup, over group: ProcessGroup,
        reduction: AllReduce.Reduction, bucketLength: Int
    ) throws(DescentError) {
        var setup = setup
        setup.add(
            layout,
            exchangedBy: PipelineSetup.Component(
                "ShardedPipeline", settings: ["reduction = \(reduction)", "bucketLength = \(bucketLength)"]))
        number = try group.connect(setup)
        channel = try group.openChannel()
        self.group = group
        self.reduction = reduction
        let shardLength = max(1, bucketLength / group.rankCount)
        plan = ShardPlan(layout, rankCount: group.rankCount, shardLength: shardLength)
        buckets = (0..<2).map { _ in Bucket(length: shardLength * group.rankCount, in: group) }
    }

    /// Tells the other ranks of a micro-batch, and learns of theirs.
    ///
    /// - Returns: What the gradients of each rank are multiplied by, and the weight of them all.
    func agree(
        weight: Double, _ elementType: ElementType
    ) throws(DescentError) -> (factors: [Float?], weight: Double) {
        var digest = Digest()
        digest.add(elementType.rawValue)
        var announcement = Announcement(.step, exchange: number, digest: digest.value)
        announcement.weight = weight
        let weights = try group.agree(on: announcement).map(\.weight)
        let total = weights.reduce(0, +)
        guard reduction != .weighted || total > 0 else {
            throw DescentError(
                .invalidWeight, "The gradients of all ranks weigh 0: one of them has to count for something.")
        }
        let factors = weights.map { weight -> Float? in
            switch reduction {
            case .mean: Float(1 / Double(weights.count))
            case .sum: 1
            case .weighted: Float(weight / total)
            }
        }
        return (factors, total)
    }

    /// Compares the parameters of all ranks, once.
    func compare(_ parameters: some TensorStorage) throws(DescentError) {
        guard !hasCompared else { return }
        try group.compare(parameters.digests, of: parameters.layout)
        hasCompared = true
    }

    /// Sums the gradients of all ranks, in their order, into this rank's rows.
    func reduce(
        _ gradients: some TensorStorage, into shard: inout some TensorStorage, _ factors: [Float?]
    ) throws(DescentError) {
        for index in plan.buckets.indices {
            try send(gradients, bucket: index)
            if index > 0 { try addUp(bucket: index - 1, into: &shard, factors) }
        }
        if let last = plan.buckets.indices.last { try addUp(bucket: last, into: &shard, factors) }
    }

    private func send(_ gradients: some TensorStorage, bucket index: Int) throws(DescentError) {
        let bucket = buckets[index % 2]
        let size = gradients.elementType.byteCount
        let type = gradients.elementType
        bucket.reset(type)
        for segment in plan.buckets[index] {
            try gradients.withBytes(of: segment.parameter) { bytes in
                let part = segment.elements.lowerBound * size..<segment.elements.upperBound * size
                bucket.fill(
                    UnsafeRawBufferPointer(rebasing: bytes[part]), storedAs: type,
                    at: segment.rank * bucket.shardLength + segment.offset)
            }
        }
        try bucket.scatter(on: channel)
    }

    private func addUp(
        bucket index: Int, into shard: inout some TensorStorage, _ factors: [Float?]
    ) throws(DescentError) {
        let bucket = buckets[index % 2]
        try bucket.wait()
        bucket.addUp(factors)
        for segment in plan.buckets[index] where segment.rank == group.rank {
            try shard.withMutableBytes(of: segment.parameter) { bytes in
                bytes.part(segment.start, segment.elements.count)
                    .copyMemory(from: UnsafeRawBufferPointer(bucket.shard.part(segment.offset, segment.elements.count)))
            }
        }
    }

    /// Takes this rank's rows out of the parameters.
    func takeShard(of parameters: some TensorStorage, into shard: inout some TensorStorage) throws(DescentError) {
        for (position, elements) in plan.elements[group.rank].enumerated() where !elements.isEmpty {
            try parameters.withBytes(of: position) { source throws(DescentError) in
                let part = source[elements.lowerBound * 4..<elements.upperBound * 4]
                try shard.withMutableBytes(of: position) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: part)) }
            }
        }
    }

    /// Gives every rank the rows of all.
    func gather(_ shard: some TensorStorage, into parameters: inout some TensorStorage) throws(DescentError) {
        for index in plan.buckets.indices {
            let bucket = buckets[index % 2]
            for segment in plan.buckets[index] where segment.rank == group.rank {
                try shard.withBytes(of: segment.parameter) { bytes in
                    let part = bytes[segment.start * 4..<(segment.start + segment.elements.count) * 4]
                    bucket.shard.part(segment.offset, segment.elements.count)
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
                }
            }
            try bucket.gather(on: channel)
            if index > 0 { try takeGathered(bucket: index - 1, into: &parameters) }
        }
        if let last = plan.buckets.indices.last { try takeGathered(bucket: last, into: &parameters) }
    }

    private func takeGathered(bucket index: Int, into parameters: inout some TensorStorage) throws(DescentError) {
        let bucket = buckets[index % 2]
        try bucket.wait()
        for segment in plan.buckets[index] {
            try parameters.withMutableBytes(of: segment.parameter) { bytes in
                bucket.copyGathered(
                    at: segment.rank * bucket.shardLength + segment.offset,
                    to: bytes.part(segment.elements.lowerBound, segment.elements.count))
            }
        }
    }

    /// Gives the numbers of all ranks, in their order.
    ///
    /// In the middle of a step, where no error can be thrown: then they are NaN, and ``requireGathered()`` throws it.
    func gather(_ values: [Double]) -> [[Double]] {
        let unknown = [values.map { _ in Double.nan }]
        guard failure == nil else { return unknown }
        do throws(DescentError) {
            try group.agree(on: Announcement(.share, exchange: number))
            let bytes = try group.gather(values.withUnsafeBytes { Array($0) })
            return bytes.map { bytes in
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

    /// Makes sure that all ranks are about to do the same.
    func settle(_ decision: StepDecision) throws(DescentError) {
        try requireGathered()
        try group.settle(decision, exchange: number)
    }

    /// Tells the other ranks of an error of this one's.
    func abandon(_ error: DescentError) {
        if failure == nil { group.tell(Announcement(.failing, because: error)) }
        failure = nil
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Some of the float32 elements.
    fileprivate func part(_ start: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self[start * 4..<(start + count) * 4])
    }
}
