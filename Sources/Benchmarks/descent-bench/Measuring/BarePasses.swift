import Descent

/// Passes that do nothing but read and write as many bytes for each element as the sweeps of a plan do.
///
/// They run over memory of their own, on as many threads and in blocks as long as the pipeline's. A pass takes all streams
/// a kilobyte at a time: what a sweep only reads is combined into one number, what it also writes has its bits flipped in
/// place, and what it only writes is overwritten. The last of several passes may go backwards, as a pipeline's last sweep
/// does, to start on what an earlier one has left in the cache; whether that takes less time is tried first.
///
/// It is the speed of memory as plain loops find it. Over tensors that stay in the cache, loops of wider instructions, such
/// as those of the library's kernels, may take less time.
final class BarePasses: Roofline {
    /// How many elements of each stream are taken at once: a kilobyte of float32, which is faster here than less or more.
    private static let stripLength = 256
    private let sweeps: [PlannedTraffic.Sweep]
    private let memory: StreamMemory
    private let blockLength: Int
    private let backend: SIMDBackend
    /// Stands for the gradients of a sweep, with an element for each block.
    private let places: TensorSet
    private let blocks: [BlockExtent]
    private let workspace: SIMDWorkspace
    private var endsBackwards = false

    /// Makes what passes over as many elements as a subject has need.
    init(for subject: Subject) throws {
        sweeps = try PlannedTraffic(of: subject).sweeps
        let count = subject.pipeline.layout.elementCount
        blockLength =
            min(SIMDBackend.defaultBlockLength, max(4_096, count / 32))
            / Self.stripLength * Self.stripLength
        let blockCount = (count + blockLength - 1) / blockLength
        let threads = min(subject.backend.threadCount, max(1, count / SIMDBackend.defaultElementsPerThread))
        backend = SIMDBackend(threads: threads, blockLength: 1, elementsPerThread: 1)
        let layout = try ParameterLayout([ParameterDescription("block", shape: [blockCount])])
        places = TensorSet(zeros: layout)
        blocks = backend.blocks(of: layout)
        workspace = backend.makeWorkspace(for: layout, blocks: blocks)
        memory = StreamMemory(sweeps, elementCount: count, blockCount: blockCount, stripLength: Self.stripLength)
        endsBackwards = sweeps.count > 1 && isFasterBackwards()
    }

    /// The faster of three steps each way, in turns.
    private func isFasterBackwards() -> Bool {
        var (forwards, backwards) = (Double.infinity, Double.infinity)
        for _ in 0..<3 {
            forwards = min(forwards, step(endingBackwards: false).whole)
            backwards = min(backwards, step(endingBackwards: true).whole)
        }
        return backwards < forwards
    }

    func step(of subject: Subject) -> StepTime { step(endingBackwards: endsBackwards) }

    private func step(endingBackwards endsBackwards: Bool) -> StepTime {
        var time = StepTime()
        for (index, sweep) in sweeps.enumerated() {
            let backwards = endsBackwards && index == sweeps.count - 1
            time.add(pass(memory.streams(of: sweep), backwards: backwards), microBatch: 1, of: 1)
        }
        return time
    }

    /// One pass over all elements; how long it took.
    private func pass(_ streams: Streams, backwards: Bool) -> Duration {
        let start = ContinuousClock.now
        let (blockLength, stripCount) = (blockLength, memory.stripCount)
        let sweep = Sweep(gradients: places, blocks: blocks, runsBackwards: backwards)
        backend.run(sweep, in: workspace) { _, block in
            let strips = blockLength / Self.stripLength
            let first = block * strips
            streams.pass(first..<min(first + strips, stripCount), block: block)
        }
        return ContinuousClock.now - start
    }
}

/// The memory that bare passes go over: as much as the sweep that moves most of each kind needs.
private final class StreamMemory {
    /// How many strips all elements are; the last may hold less than it could.
    let stripCount: Int
    private let stripLength: Int
    private let base: UnsafeMutableRawPointer
    private let results: UnsafeMutablePointer<UInt32>

    init(_ sweeps: [PlannedTraffic.Sweep], elementCount: Int, blockCount: Int, stripLength: Int) {
        stripCount = (elementCount + stripLength - 1) / stripLength
        self.stripLength = stripLength
        let bytes = (sweeps.map { $0.read + $0.onlyWritten }.max() ?? 0) * stripCount * stripLength
        base = .allocate(byteCount: max(1, bytes), alignment: MemoryLayout<Streams.Vector>.alignment)
        base.initializeMemory(as: UInt8.self, repeating: 1, count: bytes)
        results = .allocate(capacity: blockCount)
        results.initialize(repeating: 0, count: blockCount)
    }

    deinit {
        base.deallocate()
        results.deallocate()
    }

    /// The streams of a sweep: of float32 as far as its bytes go, and of what is left.
    ///
    /// What is read and written comes first in memory, as parameters and slots do in all sweeps; what is only read follows.
    func streams(of sweep: PlannedTraffic.Sweep) -> Streams {
        var (streams, offset): ([Streams.Stream], Int) = ([], 0)
        for (kind, bytes) in [
            (Streams.Kind.readAndWritten, sweep.readAndWritten), (.onlyRead, sweep.onlyRead),
            (.onlyWritten, sweep.onlyWritten),
        ] {
            for start in stride(from: 0, to: bytes, by: 4) {
                let width = min(4, bytes - start)
                let vectors = (base + offset).assumingMemoryBound(to: Streams.Vector.self)
                let length = stripLength * width / MemoryLayout<Streams.Vector>.stride
                streams.append(.init(kind: kind, vectors: vectors, stripLength: length))
                offset += width * stripLength * stripCount
            }
        }
        return Streams(all: streams, results: results)
    }
}

/// What one pass reads and writes; threads go over parts of it that do not overlap.
private struct Streams: @unchecked Sendable {
    typealias Vector = SIMD16<UInt32>

    enum Kind { case readAndWritten, onlyRead, onlyWritten }

    struct Stream {
        let kind: Kind
        let vectors: UnsafeMutablePointer<Vector>
        /// How many vectors a strip is: a multiple of four.
        let stripLength: Int
    }

    let all: [Stream]
    /// For each block, what has been read, combined: so that no compiler leaves it out.
    let results: UnsafeMutablePointer<UInt32>

    func pass(_ strips: Range<Int>, block: Int) {
        var result: UInt32 = 0
        for strip in strips {
            for stream in all {
                let vectors = stream.vectors + strip * stream.stripLength
                switch stream.kind {
                case .readAndWritten: Self.flip(vectors, stream.stripLength)
                case .onlyRead: result ^= Self.combined(vectors, stream.stripLength)
                case .onlyWritten: Self.overwrite(vectors, stream.stripLength)
                }
            }
        }
        results[block] = result
    }

    private static func flip(_ vectors: UnsafeMutablePointer<Vector>, _ count: Int) {
        for index in 0..<count { vectors[index] = ~vectors[index] }
    }

    private static func overwrite(_ vectors: UnsafeMutablePointer<Vector>, _ count: Int) {
        for index in 0..<count { vectors[index] = Vector(repeating: 1) }
    }

    private static func combined(_ vectors: UnsafeMutablePointer<Vector>, _ count: Int) -> UInt32 {
        // Four at a time: none waits for the one before.
        var sums = (Vector(), Vector(), Vector(), Vector())
        for index in stride(from: 0, to: count, by: 4) {
            sums.0 ^= vectors[index]
            sums.1 ^= vectors[index + 1]
            sums.2 ^= vectors[index + 2]
            sums.3 ^= vectors[index + 3]
        }
        return (sums.0 ^ sums.1 ^ sums.2 ^ sums.3).wrappedSum()
    }
}
