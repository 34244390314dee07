import DescentCore

/// Contiguous gradients with pending operations, as kernels read them: `factor * source - factor * mean of the row`.
struct PendingGradient {
    let source: UnsafeRawPointer
    /// How the source is stored.
    let elementType: ElementType
    let rows: Int
    let columns: Int
    let factor: Float
    /// The means to subtract; nil where nothing is subtracted.
    let means: UnsafePointer<Float>?

    init(
        source: UnsafeRawPointer, _ elementType: ElementType, rows: Int, columns: Int, factor: Float,
        means: UnsafePointer<Float>?
    ) {
        self.source = source
        self.elementType = elementType
        self.rows = rows
        self.columns = columns
        self.factor = factor
        self.means = means
    }

    /// The source, where it is stored in float32.
    var floats: UnsafePointer<Float> {
        assert(elementType == .float32)
        return source.assumingMemoryBound(to: Float.self)
    }

    /// Calls a closure for each range of elements with one shift: each row, or the whole block at once.
    ///
    /// Where nothing is subtracted the shift is -0, which leaves every number as it is: adding +0 would turn -0 into +0.
    @inline(__always)
    func forEachShift(_ body: (_ offset: Int, _ count: Int, _ shift: Float) -> Void) {
        guard let means else { return body(0, rows * columns, -0.0) }
        for row in 0..<rows { body(row * columns, columns, -(factor * means[row])) }
    }

    /// The same gradient with another factor.
    func with(factor: Float) -> PendingGradient {
        PendingGradient(source: source, elementType, rows: rows, columns: columns, factor: factor, means: means)
    }
}
