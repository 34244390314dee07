import DescentCore

/// Elements that move together: out to the ranks that sum them, and back as sums.
///
/// Every rank sums one shard of the bucket. Shards are of the same length, so the bucket may end in padding.
final class Bucket {
    private let group: ProcessGroup
    /// How many elements of it are not padding.
    let length: Int
    let shardLength: Int
    private let pool: BucketPool
    /// What moves, from the first element that is filled in until ``release()``.
    private var memory: BucketMemory?
    private let sum: UnsafeMutablePointer<Float>
    /// This rank's shard: sums, or whatever else is to be gathered.
    var shard: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: sum, count: shardLength * MemoryLayout<Float>.stride)
    }
    private var transfer: Transfer?
    /// How contributions move.
    private var elementType = ElementType.float32
    /// How sums move.
    private var sumType = ElementType.float32
    /// How many elements have been filled in.
    private(set) var filled = 0

    init(length: Int, shardLength: Int, in group: ProcessGroup, _ pool: BucketPool) {
        (self.length, self.shardLength, self.group, self.pool) = (length, shardLength, group, pool)
        sum = .allocate(capacity: shardLength)
        sum.initialize(repeating: 0, count: shardLength)
    }

    deinit {
        // The communicator may still read this if an exchange was given up.
        if transfer == nil { sum.deallocate() }
    }

    var isFull: Bool { filled == length }
    /// Whether it has memory for what moves.
    var isInUse: Bool { memory != nil }

    private var movingMemory: BucketMemory {
        let memory = memory ?? pool.take()
        self.memory = memory
        return memory
    }

    /// Leaves its memory to other buckets, which is possible once nothing moves.
    func release() {
        if let memory, transfer == nil { pool.add(memory) }
        memory = nil
    }

    /// Makes ready for a window's gradients.
    ///
    /// - Parameters:
    ///   - elementType: How contributions move.
    ///   - sumType: How sums move.
    func reset(_ elementType: ElementType, sumsAs sumType: ElementType = .float32) {
        filled = 0
        (self.elementType, self.sumType) = (elementType, sumType)
    }

    /// Has the rank contribute what there is, though elements are missing: in a step that no rank will take.
    func fillUp() { filled = length }

    /// Fills in some of this rank's elements, rounded if they are stored in another type than they move in.
    func fill(_ bytes: UnsafeRawBufferPointer, storedAs type: ElementType, at offset: Int) {
        let start = movingMemory.contents + offset * elementType.byteCount
        let count = bytes.count / type.byteCount
        filled += count
        guard let source = bytes.baseAddress else { return }
        if type == elementType {
            start.copyMemory(from: source, byteCount: bytes.count)
        } else {
            StoredFloats.read(source, type, count) { StoredFloats.write($1, to: start, elementType, at: $0) }
        }
    }

    /// Begins to send each shard to the rank that sums it.
    func scatter(on channel: Channel) throws(DescentError) {
        let count = shardLength * group.rankCount * elementType.byteCount
        let memory = movingMemory
        transfer = try group.beginExchange(
            UnsafeRawBufferPointer(start: memory.contents, count: count),
            into: UnsafeMutableRawBufferPointer(start: memory.received, count: count), on: channel)
        memory.isLent = true
    }

    /// Sums this rank's shard in the order of ranks.
    ///
    /// - Parameter factors: What the contribution of each rank is multiplied by; nil where it holds nothing.
    func addUp(_ factors: [Float?]) {
        sum.update(repeating: 0, count: shardLength)
        let sum = sum
        for (rank, factor) in factors.enumerated() {
            guard let factor else { continue }
            let start = movingMemory.received + rank * shardLength * elementType.byteCount
            StoredFloats.read(start, elementType, shardLength) { sum[$0] += $1 * factor }
        }
    }

    /// Begins to send this rank's shard to all, rounded once if it moves in 16 bits.
    func gather(on channel: Channel) throws(DescentError) {
        var shard = UnsafeRawBufferPointer(shard)
        let memory = movingMemory
        if sumType != .float32 {
            for index in 0..<shardLength { StoredFloats.write(sum[index], to: memory.received, sumType, at: index) }
            shard = UnsafeRawBufferPointer(start: memory.received, count: shardLength * sumType.byteCount)
        }
        transfer = try group.beginGathering(
            shard, into: UnsafeMutableRawBufferPointer(start: memory.contents, count: shard.count * group.rankCount),
            on: channel)
        memory.isLent = true
    }

    /// Whether what was begun last has come to its end.
    var isDone: Bool {
        get throws(DescentError) {
            if let transfer, try group.isDone(transfer) { noteEnd() }
            return transfer == nil
        }
    }

    /// Waits for the end of what was begun last.
    func wait() throws(DescentError) {
        if let transfer { try group.wait(for: transfer) }
        noteEnd()
    }

    private func noteEnd() {
        transfer = nil
        memory?.isLent = false
    }

    /// Copies some of what has been gathered, as float32.
    func copyGathered(at offset: Int, to bytes: UnsafeMutableRawBufferPointer) {
        let start = movingMemory.contents + offset * sumType.byteCount
        guard let target = bytes.baseAddress else { return }
        if sumType == .float32 {
            target.copyMemory(from: start, byteCount: bytes.count)
        } else {
            StoredFloats.read(start, sumType, bytes.count / MemoryLayout<Float>.stride) {
                StoredFloats.write($1, to: target, .float32, at: $0)
            }
        }
    }
}

/// Numbers as they are stored in memory of some type.
private enum StoredFloats {
    /// Gives a closure each number with its index.
    @inline(__always)
    static func read(_ start: UnsafeRawPointer, _ type: ElementType, _ count: Int, _ body: (Int, Float) -> Void) {
        switch type {
        case .float32:
            let elements = start.assumingMemoryBound(to: Float.self)
            for index in 0..<count { body(index, elements[index]) }
        case .float16:
            let elements = start.assumingMemoryBound(to: UInt16.self)
            for index in 0..<count { body(index, Float(Binary16(bitPattern: elements[index]))) }
        case .bfloat16:
            let elements = start.assumingMemoryBound(to: UInt16.self)
            for index in 0..<count { body(index, Float(BFloat16(bitPattern: elements[index]))) }
        case .int8, .uint8: stopForMisuse("Gradients are not stored in 8 bits.")
        }
    }

    /// Writes a number, rounded to what the type can store.
    @inline(__always)
    static func write(_ value: Float, to start: UnsafeMutableRawPointer, _ type: ElementType, at index: Int) {
        switch type {
        case .float32: start.assumingMemoryBound(to: Float.self)[index] = value
        case .float16: start.assumingMemoryBound(to: UInt16.self)[index] = Binary16(value).bitPattern
        case .bfloat16: start.assumingMemoryBound(to: UInt16.self)[index] = BFloat16(value).bitPattern
        case .int8, .uint8: stopForMisuse("Gradients are not stored in 8 bits.")
        }
    }
}
