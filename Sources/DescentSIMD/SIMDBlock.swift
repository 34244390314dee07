public import DescentCore

/// A block of `SIMDBackend`, which scales and centers lazily.
///
/// The elements are `factor * source + shift`, where the shift of a row is `-factor * mean` once row means have been
/// subtracted and 0 before. Kernels take both as arguments; only an operation that is neither copies the block into
/// scratch first.
public struct SIMDBlock: UpdateBlock {
    public let parameterIndex: Int
    public let firstRow: Int
    public let rank: Int
    public let rowCount: Int
    public let columnCount: Int
    public var slotAccess = SlotAccess()
    public var rates = UpdateRates()

    private let offset: Int
    private let memory: SweepMemory
    private let scratch: ThreadScratch
    private var source: UnsafeMutablePointer<Float>
    private var factor: Float = 1
    private var isCentered = false
    private var means: MeansCache

    /// The means of the source's rows: where they are kept, and whether they have been computed.
    private struct MeansCache {
        var values: UnsafeMutablePointer<Float>?
        var flag: UnsafeMutablePointer<Bool>?
        var isKnown = false
    }

    init(
        _ extent: BlockExtent, of parameter: ParameterDescription, index: Int, memory: SweepMemory,
        scratch: ThreadScratch
    ) {
        parameterIndex = extent.parameterIndex
        firstRow = extent.rows.lowerBound
        rank = parameter.rank
        rowCount = extent.rows.count
        columnCount = parameter.columnCount
        offset = extent.rows.lowerBound * parameter.columnCount
        self.memory = memory
        self.scratch = scratch
        source = memory.gradients[extent.parameterIndex] + offset
        means = MeansCache()
        if let rowMeans = memory.rowMeans, parameter.rank > 1 {
            means.values = rowMeans.values + extent.firstRow
            means.flag = rowMeans.isKnown + index
            means.isKnown = rowMeans.isKnown[index]
        }
    }

    private var isInScratch: Bool { source == scratch.gradient }

    // MARK: Lazy operations

    public mutating func scale(by factor: Float) { self.factor *= factor }

    public mutating func subtractRowMeans() {
        // A second time, means are 0 already.
        if rank > 1 { isCentered = true }
    }

    // MARK: Operations that read

    public mutating func norm(_ norm: Norm) -> Double {
        let measured: Double
        if norm == .l2, isCentered, !means.isKnown {
            let values = meansToFill()
            measured = Kernels.centeredNorm(source, rows: rowCount, columns: columnCount, means: values)
            rememberMeans()
        } else {
            measured = Kernels.norm(norm, source, rows: rowCount, columns: columnCount, means: resolvedMeans())
        }
        return measured * Double(factor.magnitude)
    }

    public mutating func parameterNorm(_ norm: Norm) -> Double {
        guard let parameters = memory.parameters else { return 0 }
        return Kernels.norm(
            norm, parameters[parameterIndex] + offset, rows: rowCount, columns: columnCount, means: nil)
    }

    public mutating func nonFiniteCount() -> Int {
        // Neither a factor nor a mean makes a number finite or not, unless the mean itself is not.
        Kernels.nonFiniteCount(source, count: count)
    }

    public mutating func count(below limit: Float) -> Int { Kernels.count(gradient(), below: limit) }

    public mutating func accumulate(into slot: Int, factor: Float, overwriting: Bool) {
        let accumulator = memory.slots[slot][parameterIndex] + offset
        Kernels.accumulate(
            gradient(), into: accumulator, factor: factor, overwriting: overwriting)
        source = accumulator
        self.factor = 1
        isCentered = false
        means.isKnown = false
    }

    public mutating func store() {
        guard let output = memory.output else { preconditionFailure("a sweep without an output cannot store") }
        let destination = output[parameterIndex] + offset
        if destination == source, factor == 1, !isCentered { return }
        Kernels.materialize(gradient(), into: destination)
    }

    public mutating func discardGradient() {
        source = scratch.gradient
        factor = 1
        isCentered = false
    }

    public mutating func blendParameters(into slot: Int, weight: Float, replacing: Bool) {
        guard let parameters = memory.parameters else { preconditionFailure("a sweep without parameters to blend") }
        Kernels.blend(
            parameters[parameterIndex] + offset, into: self.slot(slot), count: count, weight: weight,
            replacing: replacing)
    }

    public mutating func apply(_ rule: SGDRule) {
        guard let parameters = memory.parameters else { preconditionFailure("a sweep without parameters to update") }
        Kernels.sgd(
            gradient(), parameters[parameterIndex] + offset, velocity: rule.momentum == 0 ? nil : slot(0), rule, rates)
    }

    public mutating func apply(_ rule: AdamRule) {
        guard let parameters = memory.parameters else { preconditionFailure("a sweep without parameters to update") }
        Kernels.adam(
            gradient(), parameters[parameterIndex] + offset, first: slot(0), second: slot(1),
            largest: rule.amsgrad ? slot(2) : nil, rule.coefficients(for: rates))
    }

    // MARK: Operations that change elements one by one

    public mutating func clamp(to range: ClosedRange<Float>) {
        materialize()
        Kernels.clamp(source, count: count, to: range)
    }

    public mutating func zeroNonFinite() {
        materialize()
        Kernels.zeroNonFinite(source, count: count)
    }

    public mutating func clipRows(factor: Float, minimumNorm: Float, epsilon: Float) {
        guard let parameters = memory.parameters else { return }
        materialize()
        Kernels.clipRows(
            source, by: parameters[parameterIndex] + offset, rows: rowCount, columns: columnCount, factor: factor,
            minimumNorm: minimumNorm, epsilon: epsilon)
    }

    public mutating func withUnsafeElements<Result>(_ body: (UnsafeBlockElements) -> Result) -> Result {
        materialize()
        let count = count
        func buffer(_ bases: UnsafePointer<UnsafeMutablePointer<Float>>?) -> UnsafeMutableBufferPointer<Float> {
            UnsafeMutableBufferPointer(
                start: bases.map { $0[parameterIndex] + offset }, count: bases == nil ? 0 : count)
        }
        let access = slotAccess
        return body(
            UnsafeBlockElements(
                gradient: UnsafeMutableBufferPointer(start: source, count: count),
                parameters: buffer(memory.parameters), output: buffer(memory.output)
            ) { index in
                guard index < access.count else { return UnsafeMutableBufferPointer(start: nil, count: 0) }
                if access.isKept { return UnsafeMutableBufferPointer(start: slot(index), count: count) }
                let copy = scratch.slot(index)
                copy.update(from: slot(index), count: count)
                return UnsafeMutableBufferPointer(start: copy, count: count)
            })
    }

    // MARK: Memory

    private func slot(_ index: Int) -> UnsafeMutablePointer<Float> {
        memory.slots[slotAccess.first + index][parameterIndex] + offset
    }

    /// The source with what is pending on it, for a kernel.
    private mutating func gradient() -> PendingGradient {
        PendingGradient(
            source: source, rows: rowCount, columns: columnCount, factor: factor, means: resolvedMeans())
    }

    /// Copies the block into scratch, with everything that is pending carried out.
    private mutating func materialize() {
        if isInScratch, factor == 1, !isCentered { return }
        Kernels.materialize(gradient(), into: scratch.gradient)
        source = scratch.gradient
        factor = 1
        isCentered = false
        means = MeansCache()
    }

    /// The means of the source's rows if they are to be subtracted, computed when they are not known yet.
    private mutating func resolvedMeans() -> UnsafePointer<Float>? {
        guard isCentered else { return nil }
        let values = meansToFill()
        if !means.isKnown {
            Kernels.rowMeans(source, rows: rowCount, columns: columnCount, into: values)
            rememberMeans()
        }
        return UnsafePointer(values)
    }

    private mutating func meansToFill() -> UnsafeMutablePointer<Float> {
        if let values = means.values { return values }
        let values = scratch.rowMeans
        means.values = values
        return values
    }

    private mutating func rememberMeans() {
        means.isKnown = true
        means.flag?.pointee = true
    }
}

/// A block's gradient as kernels read it: `factor * source - factor * mean of the row`.
struct PendingGradient {
    let source: UnsafePointer<Float>
    let rows: Int
    let columns: Int
    let factor: Float
    /// The means to subtract; nil where nothing is subtracted.
    let means: UnsafePointer<Float>?

    init(source: UnsafePointer<Float>, rows: Int, columns: Int, factor: Float, means: UnsafePointer<Float>?) {
        self.source = source
        self.rows = rows
        self.columns = columns
        self.factor = factor
        self.means = means
    }

    /// Runs a body for each stretch of elements that share a shift: each row, or the whole block at once.
    @inline(__always)
    func forEachStretch(_ body: (_ offset: Int, _ count: Int, _ shift: Float) -> Void) {
        guard let means else { return body(0, rows * columns, 0) }
        for row in 0..<rows { body(row * columns, columns, -(factor * means[row])) }
    }
}
