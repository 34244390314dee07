/// Memory that one thread uses for one block at a time, allocated when it is first needed.
///
/// Each thread of a sweep is given its own, which is what makes it safe.
final class ThreadScratch: @unchecked Sendable {
    let kernels: Kernels
    private let elementCount: Int
    private let rowCount: Int
    /// The working copy of a gradient, a widened gradient, remembered parameters, a remembered gradient, and parameters
    /// that were brought in order.
    private var buffers = [UnsafeMutablePointer<Float>?](repeating: nil, count: 5)
    private var slots: [UnsafeMutablePointer<Float>?] = []
    private var transposed: [UnsafeMutablePointer<Float>?] = []
    /// Where the slots of a stage are, with room for as many as any stage has had.
    private var slotList = UnsafeMutablePointer<UnsafeMutableBufferPointer<Float>>.allocate(capacity: 4)
    private var slotListCapacity = 4
    private var rows: UnsafeMutablePointer<Float>?
    /// Factors of the tensors of a block, with room for as many as any block has had.
    private var factorList = UnsafeMutableBufferPointer<Double>(start: nil, count: 0)
    private var factorsOfRows: UnsafeMutablePointer<Float>?
    /// Rows of a transposed gradient that were brought in order together, because they share cache lines.
    private var panel = Panel()
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
        factorList.deallocate()
        factorsOfRows?.deallocate()
        panel.memory?.deallocate()
        lent.baseAddress?.deallocate()
        unread.deallocate()
    }

    var allocatedBytes: Int {
        4
            * (lent.count + (buffers + slots + transposed).count { $0 != nil } * elementCount
                + (rows == nil ? 0 : rowCount) + (factorsOfRows == nil ? 0 : rowCount)
                + (panel.memory == nil ? 0 : max(Panel.length, elementCount)))
    }

    /// The working copy of the gradient.
    var gradient: UnsafeMutablePointer<Float> { buffer(0, of: &buffers) }

    /// A gradient of 16 bits, widened, or one that was brought in order.
    var widened: UnsafeMutablePointer<Float> { buffer(1, of: &buffers) }

    /// A copy of the slot at an offset from its stage's first.
    func slot(_ offset: Int) -> UnsafeMutablePointer<Float> { buffer(offset, of: &slots) }

    /// A copy with rows as rows, of the gradient (0), the parameters (1), or a slot (2 and up).
    func transposed(_ index: Int) -> UnsafeMutablePointer<Float> { buffer(index, of: &transposed) }

    /// The parameters before an update.
    var remembered: UnsafeMutablePointer<Float> { buffer(2, of: &buffers) }

    /// Parameters that were brought in order.
    var parameters: UnsafeMutablePointer<Float> { buffer(4, of: &buffers) }

    /// The gradient before an optimizer worked on it.
    var original: UnsafeMutablePointer<Float> { buffer(3, of: &buffers) }

    /// A number for each row.
    var rowMeans: UnsafeMutablePointer<Float> {
        if let rows { return rows }
        let allocated = AlignedMemory.allocate(rowCount)
        rows = allocated
        return allocated
    }

    /// What each row is multiplied by.
    var rowFactors: UnsafeMutablePointer<Float> {
        if let factorsOfRows { return factorsOfRows }
        let allocated = AlignedMemory.allocate(rowCount)
        factorsOfRows = allocated
        return allocated
    }

    /// Some rows of a gradient in the present sweep.
    struct Panel {
        /// How many elements are brought in order together at most, unless a block has more: as many as a core's own cache
        /// holds beside what else a sweep touches.
        static let length = 98_304
        /// How many rows at most: so many that most of each cache line is used, and that each of them, and of the columns
        /// that are read at once, can be in a page of its own.
        static let rowCount = 32

        fileprivate var memory: UnsafeMutablePointer<Float>?
        fileprivate var sweep = 0
        fileprivate var parameter = 0
        fileprivate var rows = 0..<0
    }

    /// Has the rows of a gradient brought in order, where they have not been already.
    ///
    /// - Parameters:
    ///   - rows: Which rows a block needs.
    ///   - columns: How many elements each has.
    ///   - parameter: Whose gradient it is.
    ///   - sweep: The number of the sweep, with which panels end.
    ///   - wanted: Rows around these that blocks will need next.
    ///   - gather: Brings rows in order.
    /// - Returns: Where the first of the rows that the block needs begins.
    func panel(
        _ rows: Range<Int>, of columns: Int, _ parameter: Int, in sweep: Int, among wanted: Range<Int>,
        _ gather: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
    ) -> UnsafeMutablePointer<Float> {
        let memory = panel.memory ?? AlignedMemory.allocate(max(Panel.length, elementCount))
        if panel.memory == nil || (panel.sweep, panel.parameter) != (sweep, parameter)
            || rows.clamped(to: panel.rows) != rows
        {
            gather(wanted, memory)
            panel = Panel(memory: memory, sweep: sweep, parameter: parameter, rows: wanted)
        }
        return memory + (rows.lowerBound - panel.rows.lowerBound) * columns
    }

    /// Room for a factor of each tensor of a block; what was there stays.
    func factors(_ count: Int) -> UnsafeMutablePointer<Double> {
        if let start = factorList.baseAddress, factorList.count >= count { return start }
        // Only the first of a block's calls finds too little room.
        factorList.deallocate()
        factorList = .allocate(capacity: count)
        return factorList.baseAddress ?? .allocate(capacity: count)
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
