public import DescentCore

/// A block of `SIMDBackend`, which scales and centers lazily.
///
/// The elements are `factor * source + shift`, where the shift of a row is `-factor * mean` once row means have been
/// subtracted and 0 before. Kernels take both as arguments, and limits that elements are moved into before that; only
/// an operation that is none of these copies the block into scratch first.
///
/// In memory a block is contiguous, row after row. Where the output unit is the last dimension, it is a strided region:
/// one contiguous segment of units for each index of the other dimensions.
public struct SIMDBlock: UpdateBlock {
    public let parameterIndex: Int
    public let firstRow: Int
    public let rank: Int
    public let rowCount: Int
    public let columnCount: Int
    public var slotAccess = SlotAccess()
    public var rates = UpdateRates()

    /// Belongs to the sweep, which outlives its blocks; as scratch does, whose counting would cost more than using it.
    private let sweepMemory: UnsafePointer<SweepMemory>
    unowned(unsafe) let scratch: ThreadScratch
    /// Where the block lies in memory.
    let region: MemoryRegion
    /// Where the gradient is read: in memory, or in scratch once it has been widened or worked on.
    var source: UnsafeMutablePointer<Float>
    /// How far segments are apart there.
    var sourceStride: Int
    /// In Double, so that the factors of several stages are rounded once.
    var factor: Double = 1
    var isCentered = false
    /// What is done to elements before the factor, and nothing else is centered then; nil for nothing.
    var limits: ElementLimits?
    /// The sum of the source's squares, if it is known and finite.
    var sourceSquares: Double?
    /// What the last accumulation told of its result, until the result is worked on.
    var sumIsFinite: Bool?
    /// The gradient as it was before an optimizer worked on it, if that is remembered.
    var remembered: RememberedGradient?
    /// What the last update told of the parameters, until something else writes to them.
    var updateIsFinite: Bool?
    /// What has been done with the block's parameters, whether they have changed, and whether they have been written since.
    var parameterUse = ParameterUse.inPlace
    var parametersChanged = false
    var parametersAreStored = false
    var means = MeansCache()
    /// Where the block is among those that rows are kept of.
    private let place: KeptRows.Place
    /// Whether the block's elements are made of the rows in memory, of which sweeps that follow may know something.
    private var isMadeOfMemory = true
    public let tensorCount: Int
    /// What the elements of each of several tensors are multiplied by, where that is not the same: in place of the factor.
    var factors: UnsafeMutablePointer<Double>?

    /// The contiguous segments of a tensor's memory that a block covers.
    struct MemoryRegion {
        let start: Int
        let segmentCount: Int
        let segmentLength: Int
        let stride: Int
    }

    /// The means of the source's rows: where they are kept, and whether they have been computed.
    struct MeansCache {
        var values: UnsafeMutablePointer<Float>?
        var isKnown = false
    }

    init(
        _ extent: BlockExtent, of parameter: BlockShape, index: Int, tensorCount: Int = 1,
        memory: UnsafePointer<SweepMemory>, scratch: ThreadScratch
    ) {
        parameterIndex = extent.parameterIndex
        self.tensorCount = tensorCount
        firstRow = extent.rows.lowerBound
        rank = parameter.rank
        var rowCount = extent.rows.count
        for tensor in 1..<max(tensorCount, 1) { rowCount += memory.pointee.shapes[parameterIndex + tensor].rowCount }
        self.rowCount = rowCount
        columnCount = parameter.columnCount
        region =
            parameter.hasUnitsLast
            ? MemoryRegion(
                start: firstRow, segmentCount: columnCount, segmentLength: rowCount, stride: parameter.rowCount)
            : MemoryRegion(
                start: firstRow * columnCount, segmentCount: 1, segmentLength: rowCount * columnCount, stride: 0)
        sweepMemory = memory
        self.scratch = scratch
        if let gradient = memory.pointee.gradients.plainFloats(parameterIndex) {
            source = gradient + region.start
            sourceStride = region.stride
        } else {
            // Widened, and brought in order, when it is first read.
            source = scratch.unread
            sourceStride = region.segmentLength
        }
        place = KeptRows.Place(index: index, firstRow: extent.firstRow)
    }

    var memory: SweepMemory { sweepMemory.pointee }
    var kernels: Kernels { scratch.kernels }
    var isWorkingCopy: Bool { source == scratch.gradient }
    var isStrided: Bool { region.segmentCount != 1 || region.stride != 0 }

    // MARK: Lazy operations

    public mutating func scale(by factor: Float) { scale(by: Double(factor)) }

    @_disfavoredOverload public mutating func scale(by factor: Double) {
        guard let factors else {
            self.factor *= factor
            return
        }
        for tensor in 0..<tensorCount { factors[tensor] *= factor }
    }

    public mutating func subtractRowMeans() {
        guard rank > 1 else { return }
        applyLimits()
        // A second time, means are 0 already.
        guard !isCentered else { return }
        isCentered = true
        if let keptRows { means = MeansCache(values: keptRows.means, isKnown: keptRows.meansAreKnown) }
    }

    /// Forgets what was to be done to a source that is no longer the block's.
    mutating func forgetPending() {
        factor = 1
        factors = nil
        isCentered = false
        limits = nil
        sourceSquares = nil
    }

    /// What is kept of the block's rows from sweep to sweep; nil where they are not those in memory, or nothing is kept.
    var keptRows: KeptBlockRows? {
        guard isMadeOfMemory, rank > 1, let rows = memory.keptRows else { return nil }
        return KeptBlockRows(rows, at: place, tensorCount: tensorCount, version: memory.gradientVersion)
    }

    /// Forgets what is known of the rows, because they have become others than those in memory.
    mutating func forgetRows() {
        isMadeOfMemory = false
        means = MeansCache()
    }

    /// Forgets what the block holds: whoever calls this fills it anew.
    private mutating func discardGradient() {
        source = scratch.gradient
        sourceStride = region.segmentLength
        forgetPending()
    }

    public mutating func load(slot: Int) {
        sumIsFinite = nil
        source = memory.slots[slot].floats(parameterIndex) + region.start
        sourceStride = region.stride
        forgetPending()
        forgetRows()
    }

    // MARK: Operations that read

    public mutating func norm(_ norm: Norm) -> Double {
        if !Float(factor).isNormal { bringFactorIntoRange() }
        // As elements will be multiplied by it.
        let scale = Double(Float(factor).magnitude)
        if limits != nil {
            if norm == .l2, let limited = limitedNorm() { return limited }
            applyLimits()
        }
        if norm == .l2, !isStrided, let squares = squaresAsStored() { return squares.squareRoot() * scale }
        let kernels = kernels
        readSource()
        if norm == .l2, isCentered, !isStrided {
            // As if no means were known, so that it makes no difference whether they are.
            var squares = 0.0
            kernels.addCenteredSquares(
                source, rows: rowCount, columns: columnCount, means: meansToFill(), to: &squares)
            rememberMeans()
            return squares.squareRoot() * scale
        }
        if norm == .l2, !isCentered, !isStrided, let sourceSquares,
            sourceSquares >= Kernels.smallestMeanSquare * Double(count)
        {
            return sourceSquares.squareRoot() * scale
        }
        var combiner = Norm.Combiner(norm)
        forEachSegment { gradient, _, _ in
            combiner.add(
                kernels.norm(
                    norm, gradient.floats, rows: gradient.rows, columns: gradient.columns, means: gradient.means)
                    * Double(gradient.factor.magnitude))
        }
        return combiner.value
    }

    /// The sum of squares of a gradient of 16 bits, with its means recorded on the way; nil where it has to be
    /// widened for that.
    private mutating func squaresAsStored() -> Double? {
        guard source == scratch.unread, !memory.gradients.isStrided(parameterIndex) else { return nil }
        let (elements, elementType) = (storedElements, memory.gradients.elementType(parameterIndex))
        guard isCentered else {
            let squares = sourceSquares ?? kernels.sumOfSquares(elements, elementType, count: count)
            return squares.isFinite && squares >= Kernels.smallestMeanSquare * Double(count) ? squares : nil
        }
        let squares = kernels.centeredSquares(
            elements, elementType, rows: rowCount, columns: columnCount, means: meansToFill())
        if squares != nil { rememberMeans() }
        return squares
    }

    public mutating func parameterNorm(_ norm: Norm) -> Double {
        guard memory.parameters != nil else { return 0 }
        let parameters = parameters
        var combiner = Norm.Combiner(norm)
        for segment in 0..<region.segmentCount {
            let start = parameters(region.start + segment * region.stride, segment * region.segmentLength)
            combiner.add(kernels.norm(norm, start, rows: 1, columns: region.segmentLength, means: nil))
        }
        return combiner.value
    }

    public mutating func count(below limit: Float) -> Int {
        applyLimits()
        readSource()
        let kernels = kernels
        var found = 0
        forEachSegment { gradient, _, _ in found += kernels.count(gradient, below: limit) }
        return found
    }

    public mutating func accumulate(onto sum: Int?, into destination: Int?, factor: Float) {
        let kernels = kernels
        let sum = sum.map { UnsafePointer(memory.slots[$0].floats(parameterIndex)) }
        let result = destination.map { memory.slots[$0].floats(parameterIndex) }
        let working = scratch.gradient
        var isFinite = true
        forEachSegment { gradient, offset, scratchOffset in
            let isSegmentFinite = kernels.accumulate(
                gradient, onto: sum.map { $0 + offset }, into: result.map { $0 + offset } ?? working + scratchOffset,
                factor: factor)
            isFinite = isFinite && isSegmentFinite
        }
        sumIsFinite = isFinite
        source = result.map { $0 + region.start } ?? working
        sourceStride = result == nil ? region.segmentLength : region.stride
        forgetPending()
        forgetRows()
        // The next sweep reads the sum: rows of the micro-batch are of no use to it. Or it reads both again.
        guard result != nil else { return }
        isMadeOfMemory = true
        keptRows?.forget()
    }

    public mutating func isFinite() -> Bool {
        if let sumIsFinite, factor == 1, !isCentered { return sumIsFinite }
        if factor != 1 || factors != nil || isCentered || limits != nil { return nonFiniteCount() == 0 }
        readSource()
        let (kernels, source, stride, length) = (kernels, source, sourceStride, region.segmentLength)
        return (0..<region.segmentCount).allSatisfy { kernels.isFinite(source + $0 * stride, count: length) }
    }

    public mutating func clear() {
        sumIsFinite = nil
        discardGradient()
        source.update(repeating: 0, count: count)
        forgetRows()
    }

    public mutating func addElements(to histogram: inout MagnitudeHistogram) {
        applyLimits()
        readSource()
        forEachSegment { gradient, _, _ in
            gradient.forEachShift { offset, count, shift in
                for index in offset..<offset + count { histogram.add(gradient.factor * gradient.floats[index] + shift) }
            }
        }
    }

    public mutating func store() {
        let kernels = kernels
        guard let output = memory.output else { stopForMisuse("a sweep without an output cannot store") }
        if let destination = output.plainFloats(parameterIndex) {
            if destination + region.start == source, factor == 1, !isCentered, limits == nil { return }
            forEachSegment { gradient, offset, _ in kernels.materialize(gradient, into: destination + offset) }
        } else if let view = output.view(parameterIndex), view.isStrided {
            materialize()
            forEachSegment { gradient, offset, _ in
                view.scatter(gradient.floats, to: offset..<offset + gradient.rows * gradient.columns, kernels)
            }
        } else {
            materialize()
            let (destination, elementType) = (output.words(parameterIndex), output.elementType(parameterIndex))
            forEachSegment { gradient, offset, _ in
                kernels.narrow(
                    gradient.floats, elementType, into: destination + offset, count: gradient.rows * gradient.columns)
            }
        }
    }
}

/// What a block has to know of its parameter's shape, without a name to count references to.
struct BlockShape {
    let rank: Int
    let rowCount: Int
    let columnCount: Int
    let hasUnitsLast: Bool
    let matrixRowCount: Int
    let matrixColumnCount: Int
    /// Which elements share a scale in slots of 8 bits.
    let codeGroups: CodeGroups

    init(_ parameter: ParameterDescription) {
        rank = parameter.rank
        rowCount = parameter.rowCount
        columnCount = parameter.columnCount
        hasUnitsLast = parameter.outputAxis == .last
        let matrices = parameter.matrices
        codeGroups = CodeGroups(parameter)
        (matrixRowCount, matrixColumnCount) = (matrices.rowCount, matrices.columnCount)
    }
}
