/// Memory for a bucket's elements on their way.
final class BucketMemory {
    /// What this rank sends, in the type in which it moves; later what it has been given back.
    let contents: UnsafeMutableRawPointer
    /// The contributions of all ranks to this rank's shard; later the shard, where sums move in 16 bits.
    let received: UnsafeMutableRawPointer
    /// Whether the communicator may read and write it.
    var isLent = false

    /// Allocates zeros.
    init(byteCount: Int) {
        contents = .allocate(byteCount: max(1, byteCount), alignment: 64)
        contents.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        received = .allocate(byteCount: max(1, byteCount), alignment: 64)
        received.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    deinit {
        // After an error the communicator may still write here.
        guard !isLent else { return }
        contents.deallocate()
        received.deallocate()
    }
}

/// Memory that buckets take turns in using.
final class BucketPool {
    private let byteCount: Int
    private var free: [BucketMemory] = []

    /// Makes room for buckets of so many bytes, once it is needed.
    init(byteCount: Int) { self.byteCount = byteCount }

    /// Memory that nobody else uses.
    func take() -> BucketMemory { free.popLast() ?? BucketMemory(byteCount: byteCount) }

    /// Takes memory back.
    func add(_ memory: BucketMemory) { free.append(memory) }
}
