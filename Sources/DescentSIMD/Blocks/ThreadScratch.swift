/// Memory that one thread uses for one block at a time, allocated when it is first needed.
///
/// Each thread of a sweep is given its own, which is what makes it safe.
final class ThreadScratch: @unchecked Sendable {
    let kernels: Kernels
    private let elementCount: Int
    private let rowCount: Int
    /// The working copy of a gradient, a widened gradient, remembered parameters, and a remembered gradient.
    private var buffers = [UnsafeMutablePointer<Float>?](repeating: nil, count: 4)
    private var slots: [UnsafeMutablePointer<Float>?] = []
    private var transposed: [UnsafeMutablePointer<Float>?] = []
    /// Where the slots of a stage are, with room for as many as any stage has had.
    private var slotList = UnsafeMutablePointer<UnsafeMutableBufferPointer<Float>>.allocate(capacity: 4)
    private var slotListCapacity = 4
    private var rows: UnsafeMutablePointer<Float>?
    /// Stands for a gradient that has not been read yet; there is nothing there.
    let unread = AlignedMemory.allocate(0)

    /// What a stage is lent that is handed whole tensors.
    let lent: UnsafeMutableBufferPointer<Float>

    init(elementCount: Int, rowCount: Int, lentCount: Int = 0, kernels: Kernels) {
        lent = UnsafeMutableBufferPointer(
            start: lentCount > 0 ? AlignedMemory.allocate(lentCount) : nil, count: lentCount)
        self.kernels = kernels
        self.elementCount = elementCount
        self.rowCount = rowCount
    }

    deinit {
        for buffer in buffers + slots + transposed { buffer?.deallocate() }
        slotList.deallocate()
        rows?.deallocate()
        lent.baseAddress?.deallocate()
        unread.deallocate()
    }

    var allocatedBytes: Int {
        4
            * (lent.count + (buffers + slots + transposed).count { $0 != nil } * elementCount
                + (rows == nil ? 0 : rowCount))
    }

    /// The working copy of the gradient.
    var gradient: UnsafeMutablePointer<Float> { buffer(0, of: &buffers) }

    /// A gradient of 16 bits, widened.
    var widened: UnsafeMutablePointer<Float> { buffer(1, of: &buffers) }

    /// A copy of the slot at an offset from its stage's first.
    func slot(_ offset: Int) -> UnsafeMutablePointer<Float> { buffer(offset, of: &slots) }

    /// A copy with rows as rows, of the gradient (0), the parameters (1), or a slot (2 and up).
    func transposed(_ index: Int) -> UnsafeMutablePointer<Float> { buffer(index, of: &transposed) }

    /// The parameters before an update.
    var remembered: UnsafeMutablePointer<Float> { buffer(2, of: &buffers) }

    /// The gradient before an optimizer worked on it.
    var original: UnsafeMutablePointer<Float> { buffer(3, of: &buffers) }

    /// A number for each row.
    var rowMeans: UnsafeMutablePointer<Float> {
        if let rows { return rows }
        let allocated = AlignedMemory.allocate(rowCount)
        rows = allocated
        return allocated
    }

    /// Room for the addresses of a stage's slots; what was there is lost.
    func slotList(_ count: Int) -> UnsafeMutablePointer<UnsafeMutableBufferPointer<Float>> {
        if slotListCapacity < count {
            slotList.deallocate()
            slotList = .allocate(capacity: count)
            slotListCapacity = count
        }
        return slotList
    }

    private func buffer(
        _ index: Int, of buffers: inout [UnsafeMutablePointer<Float>?]
    ) -> UnsafeMutablePointer<Float> {
        while index >= buffers.count { buffers.append(nil) }
        if let buffer = buffers[index] { return buffer }
        let allocated = AlignedMemory.allocate(elementCount)
        buffers[index] = allocated
        return allocated
    }
}
