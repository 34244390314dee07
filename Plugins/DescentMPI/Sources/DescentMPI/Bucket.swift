import CMPI
import DescentCore

/// Elements that move together: out to the ranks that sum them, and back as sums.
///
/// Every rank sums one shard of the bucket. Shards are of the same length, so the bucket may end in padding.
final class Bucket {
    private let rankCount: Int
    /// How many elements of it are not padding.
    let length: Int
    let shardLength: Int
    /// What this rank contributes, in the gradients' own type; later the sums of all shards.
    private let contents: UnsafeMutableRawPointer
    /// The contributions of all ranks to this rank's shard.
    private let received: UnsafeMutableRawPointer
    private let sum: UnsafeMutablePointer<Float>
    /// This rank's shard: sums, or whatever else is to be gathered.
    var shard: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: sum, count: shardLength * MemoryLayout<Float>.stride)
    }
    private var request: MPI_Request?
    private var elementType = ElementType.float32
    /// How many elements have been filled in.
    private(set) var filled = 0

    init(length: Int, rankCount: Int) {
        self.length = length
        self.rankCount = rankCount
        shardLength = (length + rankCount - 1) / rankCount
        let byteCount = shardLength * rankCount * MemoryLayout<Float>.stride
        contents = .allocate(byteCount: byteCount, alignment: 64)
        contents.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        received = .allocate(byteCount: byteCount, alignment: 64)
        received.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        sum = .allocate(capacity: shardLength)
        sum.initialize(repeating: 0, count: shardLength)
        request = CMPI_noRequest()
    }

    deinit {
        // MPI may still write here if an exchange was given up.
        guard request == CMPI_noRequest() else { return }
        contents.deallocate()
        received.deallocate()
        sum.deallocate()
    }

    var isFull: Bool { filled == length }

    /// Makes ready for a window's gradients.
    func reset(_ elementType: ElementType) {
        filled = 0
        self.elementType = elementType
    }

    /// Fills in some of this rank's elements.
    func fill(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        UnsafeMutableRawBufferPointer(start: contents + offset * elementType.byteCount, count: bytes.count)
            .copyMemory(from: bytes)
        filled += bytes.count / elementType.byteCount
    }

    /// Begins to send each shard to the rank that sums it.
    func scatter(over communicator: MPI_Comm) {
        let type: MPI_Datatype = elementType == .float32 ? CMPI_float() : CMPI_uint16()
        MPI_Ialltoall(contents, Int32(shardLength), type, received, Int32(shardLength), type, communicator, &request)
    }

    /// Sums this rank's shard in the order of ranks.
    ///
    /// - Parameter factors: What the contribution of each rank is multiplied by; nil where it holds nothing.
    func addUp(_ factors: [Float?]) {
        sum.update(repeating: 0, count: shardLength)
        for (rank, factor) in factors.enumerated() {
            guard let factor else { continue }
            addShard(of: rank, times: factor)
        }
    }

    /// Begins to send this rank's shard to all.
    func gather(over communicator: MPI_Comm) {
        MPI_Iallgather(
            sum, Int32(shardLength), CMPI_float(), contents, Int32(shardLength), CMPI_float(), communicator, &request)
    }

    private func addShard(of rank: Int, times factor: Float) {
        let start = received + rank * shardLength * elementType.byteCount
        let (sum, shardLength) = (sum, shardLength)
        switch elementType {
        case .float32:
            let elements = start.assumingMemoryBound(to: Float.self)
            for index in 0..<shardLength { sum[index] += elements[index] * factor }
        case .float16:
            let elements = start.assumingMemoryBound(to: UInt16.self)
            for index in 0..<shardLength { sum[index] += Float(Binary16(bitPattern: elements[index])) * factor }
        case .bfloat16:
            let elements = start.assumingMemoryBound(to: UInt16.self)
            for index in 0..<shardLength { sum[index] += Float(BFloat16(bitPattern: elements[index])) * factor }
        case .int8, .uint8: preconditionFailure("gradients are not stored in 8 bits")
        }
    }

    /// Whether what was begun last has come to its end.
    var isDone: Bool {
        var flag: Int32 = 0
        _ = CMPI_test(&request, &flag)
        return flag != 0
    }

    /// Waits for the end of what was begun last.
    func wait(_ communicator: Communicator) throws(DescentError) { try communicator.finish(&request) }

    /// Copies some of what has been gathered.
    func copyGathered(at offset: Int, to bytes: UnsafeMutableRawBufferPointer) {
        bytes.copyMemory(
            from: UnsafeRawBufferPointer(start: contents + offset * MemoryLayout<Float>.stride, count: bytes.count))
    }
}
