import DescentCore

/// What is done to elements before anything else that is pending, in this order.
struct ElementLimits: Equatable {
    /// What they are multiplied by first.
    var factor: Float
    /// Whether means of rows are subtracted next.
    var isCentered: Bool
    /// Whether NaN and infinities become 0.
    var repairs = false
    /// The range that elements are moved into; NaN stays.
    var range = -Float.infinity ... .infinity
    /// What each row is multiplied by; nil for nothing.
    var rowFactors: UnsafePointer<Float>?

    /// The limits of rows from one on.
    func from(row: Int) -> ElementLimits {
        var limits = self
        limits.rowFactors = rowFactors.map { $0 + row }
        return limits
    }

    /// Whether every element stays what it is unless it is not finite.
    var onlyRepairs: Bool { isWithoutChange && rowFactors == nil }

    /// Whether nothing is done but that rows are multiplied.
    var areOfRowsAlone: Bool { isWithoutChange && !repairs }

    /// Whether finite elements are what they were when rows are multiplied.
    private var isWithoutChange: Bool { factor == 1 && !isCentered && range == -Float.infinity ... .infinity }
}

/// Contiguous gradients with pending operations, as kernels read them: `factor * source - factor * mean of the row`.
///
/// With limits, elements are limited first, and multiplied by the factor then; means are those that limits subtract.
struct PendingGradient {
    let source: UnsafeRawPointer
    /// How the source is stored.
    let elementType: ElementType
    let rows: Int
    let columns: Int
    let factor: Float
    /// The means to subtract; nil where nothing is subtracted.
    let means: UnsafePointer<Float>?
    /// What is done to elements before; nil for nothing.
    let limits: ElementLimits?

    init(
        source: UnsafeRawPointer, _ elementType: ElementType, rows: Int, columns: Int, factor: Float,
        means: UnsafePointer<Float>?, limits: ElementLimits? = nil
    ) {
        self.source = source
        self.elementType = elementType
        self.rows = rows
        self.columns = columns
        self.factor = factor
        self.means = means
        self.limits = limits
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
        assert(limits == nil)
        guard let means else { return body(0, rows * columns, -0.0) }
        for row in 0..<rows { body(row * columns, columns, -(factor * means[row])) }
    }

    /// The same gradient with another factor.
    func with(factor: Float) -> PendingGradient {
        PendingGradient(
            source: source, elementType, rows: rows, columns: columns, factor: factor, means: means, limits: limits)
    }
}
