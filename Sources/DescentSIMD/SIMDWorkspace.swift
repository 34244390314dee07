import DescentCore
import Dispatch
import Synchronization

/// What sweeps over one layout need besides the tensors: scratch for each thread, and how blocks are dealt out.
///
/// It is used by one sweep at a time, which is what makes sharing it between the sweep's threads safe: the engine
/// that owns it is a value, and each thread uses scratch of its own.
public final class SIMDWorkspace: @unchecked Sendable {
    private let parameters: [ParameterDescription]
    private let blockCount: Int
    private let usefulThreads: Int
    /// Runs of neighbouring blocks that are dealt out as one, so that tiny tensors do not contend for a counter.
    private let portions: [Range<Int>]
    private let scratch: [ThreadScratch]
    private let next = Atomic<Int>(0)

    init(layout: ParameterLayout, blocks: [BlockExtent], backend: SIMDBackend) {
        parameters = Array(layout)
        blockCount = blocks.count
        usefulThreads = layout.elementCount / backend.elementsPerThread
        let lengths = blocks.map { $0.rows.count * layout[$0.parameterIndex].columnCount }
        let rows = blocks.map(\.rows.count).max() ?? 0
        let longest = lengths.max() ?? 0
        var portions: [Range<Int>] = []
        var start = 0
        var length = 0
        for index in blocks.indices {
            length += lengths[index]
            if length >= backend.blockLength || index == blocks.count - 1 {
                portions.append(start..<index + 1)
                (start, length) = (index + 1, 0)
            }
        }
        self.portions = portions
        scratch = (0..<backend.threadCount).map { _ in ThreadScratch(elementCount: longest, rowCount: rows) }
    }

    /// How many bytes of scratch have been allocated so far.
    var scratchBytes: Int { scratch.reduce(0) { $0 + $1.allocatedBytes } }

    func run(_ sweep: borrowing Sweep<TensorSet>, _ body: @Sendable (inout SIMDBlock, Int) -> Void) {
        let memory = SweepMemory(sweep)
        defer { memory.deallocate() }
        let blocks = sweep.blocks
        let backwards = sweep.runsBackwards
        @Sendable func runBlocks(_ range: Range<Int>, on scratch: ThreadScratch) {
            for offset in 0..<range.count {
                let index = backwards ? range.upperBound - 1 - offset : range.lowerBound + offset
                let extent = blocks[index]
                var block = SIMDBlock(
                    extent, of: parameters[extent.parameterIndex], index: index, memory: memory, scratch: scratch)
                body(&block, index)
            }
        }
        let threads = min(scratch.count, usefulThreads, portions.count)
        guard threads > 1, blocks.count == blockCount else {
            return runBlocks(0..<blocks.count, on: scratch[0])
        }
        next.store(0, ordering: .relaxed)
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            while true {
                let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard turn < portions.count else { return }
                runBlocks(portions[backwards ? portions.count - 1 - turn : turn], on: scratch[thread])
            }
        }
    }
}

/// Memory that one thread uses for one block at a time, allocated when it is first needed.
///
/// Each thread of a sweep is given its own, which is what makes it safe.
final class ThreadScratch: @unchecked Sendable {
    private let elementCount: Int
    private let rowCount: Int
    /// The working copy of a block's gradient, then copies of up to four slots.
    private var buffers: [UnsafeMutablePointer<Float>?] = [nil, nil, nil, nil, nil]
    private var rows: UnsafeMutablePointer<Float>?

    init(elementCount: Int, rowCount: Int) {
        self.elementCount = elementCount
        self.rowCount = rowCount
    }

    deinit {
        for buffer in buffers { buffer?.deallocate() }
        rows?.deallocate()
    }

    var allocatedBytes: Int {
        4 * (buffers.count { $0 != nil } * elementCount + (rows == nil ? 0 : rowCount))
    }

    /// The working copy of the gradient.
    var gradient: UnsafeMutablePointer<Float> { buffer(0) }

    /// A copy of the slot at an offset from its stage's first.
    func slot(_ offset: Int) -> UnsafeMutablePointer<Float> { buffer(1 + offset) }

    /// A number for each row.
    var rowMeans: UnsafeMutablePointer<Float> {
        if let rows { return rows }
        let allocated = AlignedMemory.allocate(rowCount)
        rows = allocated
        return allocated
    }

    private func buffer(_ index: Int) -> UnsafeMutablePointer<Float> {
        if let buffer = buffers[index] { return buffer }
        let allocated = AlignedMemory.allocate(elementCount)
        buffers[index] = allocated
        return allocated
    }
}

/// The addresses that the blocks of one sweep start from; blocks are disjoint, so threads can share it.
struct SweepMemory: @unchecked Sendable {
    let gradients: UnsafePointer<UnsafeMutablePointer<Float>>
    let parameters: UnsafePointer<UnsafeMutablePointer<Float>>?
    let output: UnsafePointer<UnsafeMutablePointer<Float>>?
    let slots: UnsafeMutablePointer<UnsafePointer<UnsafeMutablePointer<Float>>>
    let slotCount: Int
    let rowMeans: RowMeans?

    init(_ sweep: borrowing Sweep<TensorSet>) {
        gradients = sweep.gradients.bases
        parameters = sweep.parameters?.bases
        output = sweep.output?.bases
        slotCount = sweep.slots.count
        slots = .allocate(capacity: slotCount)
        for index in 0..<slotCount { slots.advanced(by: index).initialize(to: sweep.slots[index].bases) }
        rowMeans = sweep.rowMeans
    }

    func deallocate() { slots.deallocate() }
}
