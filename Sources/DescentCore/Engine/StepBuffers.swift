/// What the blocks of a sweep write down for the engine: norms and row means.
///
/// An engine owns its buffers alone, and the threads of a sweep write to different elements of them; that is what
/// makes handing them to other threads safe.
final class StepBuffers: @unchecked Sendable {
    /// The norm of each block, column by column.
    let blockNorms: UnsafeMutablePointer<Double>
    /// The means of rows, for sweeps that are followed by another over the same gradients.
    let rowMeans: RowMeans?
    let rowCount: Int
    private let blockCount: Int
    private let columnCount: Int

    init(columnCount: Int, blockCount: Int, rowCount: Int) {
        self.columnCount = columnCount
        self.blockCount = blockCount
        self.rowCount = rowCount
        blockNorms = .allocate(capacity: max(1, columnCount * blockCount))
        blockNorms.initialize(repeating: 0, count: columnCount * blockCount)
        guard rowCount > 0 else {
            rowMeans = nil
            return
        }
        let means = RowMeans(values: .allocate(capacity: rowCount), isKnown: .allocate(capacity: max(1, blockCount)))
        means.values.initialize(repeating: 0, count: rowCount)
        means.isKnown.initialize(repeating: false, count: blockCount)
        rowMeans = means
    }

    deinit {
        blockNorms.deallocate()
        rowMeans?.values.deallocate()
        rowMeans?.isKnown.deallocate()
    }

    /// Buffers of the same size, for another engine.
    func makeAnother() -> StepBuffers {
        StepBuffers(columnCount: columnCount, blockCount: blockCount, rowCount: rowCount)
    }

    /// Forgets the means of rows, because the next sweep reads other gradients.
    func forgetRowMeans() {
        rowMeans?.isKnown.update(repeating: false, count: blockCount)
    }
}
