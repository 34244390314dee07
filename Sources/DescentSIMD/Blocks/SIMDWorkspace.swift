import DescentCore
import Synchronization

/// What sweeps over one layout need besides the tensors: scratch for each thread, and how blocks are handed out.
///
/// It is used by one sweep at a time, which is what makes sharing it between the sweep's threads safe: the engine
/// that owns it is a value, and each thread uses scratch of its own.
public final class SIMDWorkspace: @unchecked Sendable {
    private let shapes: UnsafeMutablePointer<BlockShape>
    private let blocks: [BlockExtent]
    /// Rows of the blocks, made when a sweep first has them kept.
    private var keptRows: KeptRows?
    private let usefulThreads: Int
    /// Chunks of neighbouring blocks that a thread takes at once, so that tiny tensors do not contend for a counter.
    private let chunks: [Range<Int>]
    private let scratch: [ThreadScratch]
    private let team: WorkerTeam
    /// How many chunks have been taken from each thread's queue.
    private let taken: UnsafeMutablePointer<Atomic<Int>>
    /// Where the slots of the present sweep start, and room for as many as any sweep has had; so that no sweep allocates.
    private var slots: UnsafeMutableBufferPointer<TensorAddresses> = .allocate(capacity: 0)
    private var sweepCount = 0

    init(layout: ParameterLayout, blocks: [BlockExtent], scratchCount: Int = 0, backend: SIMDBackend) {
        self.blocks = blocks
        shapes = .allocate(capacity: max(1, layout.count))
        for (index, parameter) in layout.enumerated() {
            shapes.advanced(by: index).initialize(to: BlockShape(parameter))
        }
        usefulThreads = layout.elementCount / backend.elementsPerThread
        let lengths = blocks.map { $0.rows.count * layout[$0.parameterIndex].columnCount }
        let rows = max(
            blocks.map(\.rows.count).max() ?? 0, min(layout.elementCount, backend.joinedLength(of: layout)))
        let longest = max(lengths.max() ?? 0, min(layout.elementCount, backend.joinedLength(of: layout)))
        let chunkLength = min(backend.blockLength, layout.elementCount / (16 * backend.threadCount))
        var chunks: [Range<Int>] = []
        var start = 0
        var length = 0
        for index in blocks.indices {
            length += lengths[index]
            if length >= chunkLength || index == blocks.count - 1 {
                chunks.append(start..<index + 1)
                (start, length) = (index + 1, 0)
            }
        }
        self.chunks = chunks
        taken = .allocate(capacity: backend.threadCount)
        for thread in 0..<backend.threadCount { taken.advanced(by: thread).initialize(to: Atomic(0)) }
        team = WorkerTeam(threads: backend.threadCount)
        let kernels = Kernels(backend.instructionSet)
        scratch = (0..<backend.threadCount).map { _ in
            ThreadScratch(elementCount: longest, rowCount: rows, lentCount: scratchCount, kernels: kernels)
        }
    }

    deinit {
        slots.deallocate()
        keptRows?.deallocate()
        shapes.deallocate()
        taken.deinitialize(count: scratch.count)
        taken.deallocate()
    }

    private func slotAddresses(_ tensors: [TensorSet], _ shapes: [Slot.Shape]) -> UnsafePointer<TensorAddresses>? {
        if slots.count < tensors.count {
            slots.deallocate()
            slots = .allocate(capacity: tensors.count)
        }
        var coded = 0
        for index in tensors.indices {
            let shape = index < shapes.count ? shapes[index] : .parameter
            slots.initializeElement(at: index, to: TensorAddresses(tensors[index], shape))
            // Behind the slots of an owner come the scales and the rest of the first that is in codes, then of the next.
            guard shape == .group || shape == .uncoded else { continue }
            while coded < index, !slots[coded].needsCompanion { coded += 1 }
            if coded < index { slots[coded].add(slots[index]) }
        }
        return UnsafePointer(slots.baseAddress)
    }

    /// How many bytes of scratch have been allocated so far.
    var scratchBytes: Int { scratch.reduce(keptRows?.allocatedBytes ?? 0) { $0 + $1.allocatedBytes } }

    private func rowsToKeep(in sweep: borrowing Sweep<TensorSet>) -> KeptRows? {
        guard sweep.gradientVersion != nil else { return nil }
        let rows = keptRows ?? KeptRows(blocks: blocks)
        keptRows = rows
        return rows
    }

    func run(_ sweep: borrowing Sweep<TensorSet>, _ body: @Sendable (inout SIMDBlock, Int) -> Void) {
        let slots = slotAddresses(sweep.slots, sweep.slotShapes)
        sweepCount += 1
        let keptRows = rowsToKeep(in: sweep)
        let memory = SweepMemory(sweep, number: sweepCount, slots: slots, shapes: shapes, keptRows: keptRows)
        withUnsafePointer(to: memory) { run(sweep, SendableAddress($0), body) }
    }

    private func run(
        _ sweep: borrowing Sweep<TensorSet>, _ memory: SendableAddress, _ body: @Sendable (inout SIMDBlock, Int) -> Void
    ) {
        let blocks = sweep.blocks
        let range = sweep.range
        let backwards = sweep.runsBackwards
        let writesAllParameters = sweep.updatedParameters != nil
        let neighbours = memory.address.pointee.neighboursLieTogether ? sweep.neighbours : []
        @Sendable func runBlocks(_ chunk: Range<Int>, on scratch: ThreadScratch) {
            var rest = chunk.clamped(to: range)
            while !rest.isEmpty {
                let next = backwards ? rest.upperBound - 1 : rest.lowerBound
                let joined = neighbours.isEmpty ? next..<next + 1 : neighbours[next]
                let index = joined.lowerBound
                // Those that are handed out together are so with the first of them.
                let isOfChunk = index >= rest.lowerBound
                rest =
                    backwards
                    ? rest.lowerBound..<max(index, rest.lowerBound)
                    : min(joined.upperBound, rest.upperBound)..<rest.upperBound
                guard isOfChunk else { continue }
                let (extent, tensorCount) = (blocks[index], joined.count)
                var block = SIMDBlock(
                    extent, of: shapes[extent.parameterIndex], index: index, tensorCount: tensorCount,
                    memory: memory.address, scratch: scratch)
                body(&block, index)
                if block.parametersChanged || writesAllParameters { block.finish() }
            }
        }
        guard !range.isEmpty else { return }
        let wanted = chunk(of: range.lowerBound)..<chunk(of: range.upperBound - 1) + 1
        let threads = min(scratch.count, usefulThreads, wanted.count)
        guard threads > 1 else { return runBlocks(range, on: scratch[0]) }
        for thread in 0..<threads { taken[thread].store(0, ordering: .relaxed) }
        team.perform(threads: threads) { thread in
            // Each thread begins with a queue of its own, the same in every sweep, which its cache may still hold; then
            // it takes from the queues of others.
            for offset in 0..<threads {
                let owner = (thread + offset) % threads
                let queue = wanted.part(owner, of: threads)
                while true {
                    let position = taken[owner].wrappingAdd(1, ordering: .relaxed).oldValue
                    guard position < queue.count else { break }
                    let chunk = chunks[backwards ? queue.upperBound - 1 - position : queue.lowerBound + position]
                    runBlocks(chunk, on: scratch[thread])
                }
            }
        }
    }

    /// The chunk that a block is in.
    private func chunk(of block: Int) -> Int {
        var (low, high) = (0, chunks.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].upperBound <= block { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Range where Bound == Int {
    /// One of so many parts of about the same size.
    fileprivate func part(_ index: Int, of count: Int) -> Range<Int> {
        lowerBound + self.count * index / count..<lowerBound + self.count * (index + 1) / count
    }
}
