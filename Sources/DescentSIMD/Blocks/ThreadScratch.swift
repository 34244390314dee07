/// Memory that one thread uses for one block at a time, allocated when it is first needed.
///
/// Each thread of a sweep is given its own, which is what makes it safe.
final class ThreadScratch: @unchecked Sendable {
    let kernels: Kernels
    private let elementCount: Int
    private let rowCount: Int
    /// The working copy of a gradient, a widened gradient, four slots, six transposed copies, and
    /// remembered parameters.
    private var buffers = [UnsafeMutablePointer<Float>?](repeating: nil, count: 13)
    private var rows: UnsafeMutablePointer<Float>?
    /// Stands for a gradient that has not been read yet; there is nothing there.
    let unread = AlignedMemory.allocate(0)

    init(elementCount: Int, rowCount: Int, kernels: Kernels) {
        self.kernels = kernels
        self.elementCount = elementCount
        self.rowCount = rowCount
    }

    deinit {
        for buffer in buffers { buffer?.deallocate() }
        rows?.deallocate()
        unread.deallocate()
    }

    var allocatedBytes: Int {
        4 * (buffers.count { $0 != nil } * elementCount + (rows == nil ? 0 : rowCount))
    }

    /// The working copy of the gradient.
    var gradient: UnsafeMutablePointer<Float> { buffer(0) }

    /// A gradient of 16 bits, widened.
    var widened: UnsafeMutablePointer<Float> { buffer(1) }

    /// A copy of the slot at an offset from its stage's first.
    func slot(_ offset: Int) -> UnsafeMutablePointer<Float> { buffer(2 + offset) }

    /// A copy with rows as rows, of the gradient (0), the parameters (1), or a slot (2 and up).
    func transposed(_ index: Int) -> UnsafeMutablePointer<Float> { buffer(6 + index) }

    /// The parameters before an update.
    var remembered: UnsafeMutablePointer<Float> { buffer(12) }

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
