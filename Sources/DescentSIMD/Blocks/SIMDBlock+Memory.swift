import DescentCore

/// Where the elements of a block are, and what is still to be done to them.
extension SIMDBlock {
    /// Calls a closure for each contiguous segment of the block, with its offset in memory and in scratch.
    ///
    /// A gradient of 16 bits is handed over as it is stored, where kernels can take it.
    mutating func forEachSegment(_ body: (_ gradient: PendingGradient, _ offset: Int, _ scratchOffset: Int) -> Void) {
        if !Float(factor).isNormal { bringFactorIntoRange() }
        if isStrided { centerUnits() }
        let means = resolvedMeans()
        if source == scratch.unread, memory.gradients.isStrided(parameterIndex) {
            readSource()
        }
        let isStored = source == scratch.unread
        let elementType = isStored ? memory.gradients.elementType(parameterIndex) : .float32
        let elements = isStored ? storedElements : UnsafeRawPointer(source)
        let stride = (isStored ? region.stride : sourceStride) * elementType.byteCount
        let (rows, columns) = isStrided ? (1, region.segmentLength) : (rowCount, columnCount)
        if let factors {
            return forEachTensor { tensor, first, rows in
                let offset = first * columns
                let gradient = PendingGradient(
                    source: elements + offset * elementType.byteCount, elementType, rows: rows, columns: columns,
                    factor: Float(factors[tensor]), means: means.map { $0 + first },
                    limits: limits?.from(row: first))
                body(gradient, region.start + offset, offset)
            }
        }
        for segment in 0..<region.segmentCount {
            let gradient = PendingGradient(
                source: elements + segment * stride, elementType, rows: rows, columns: columns, factor: Float(factor),
                means: means, limits: limits)
            body(gradient, region.start + segment * region.stride, segment * region.segmentLength)
        }
    }

    /// Applies so much of a factor beyond Float's normal range that the rest, a power of two, is within it.
    mutating func bringFactorIntoRange() {
        guard factor != 0, factor.isFinite else { return }
        let power = factor.magnitude < 1 ? 0x1p100 : 0x1p-100
        factor *= power
        materialize()
        factor = 1 / power
    }

    /// Makes a working copy of the block in scratch, with every pending operation applied.
    mutating func materialize() {
        sumIsFinite = nil
        sourceSquares = nil
        if isWorkingCopy, factor == 1, factors == nil, !isCentered, limits == nil { return }
        materialize(into: scratch.gradient)
    }

    /// Writes the elements to scratch, with every pending operation applied, and goes on with them there.
    mutating func materialize(into destination: UnsafeMutablePointer<Float>) {
        let kernels = kernels
        forEachSegment { gradient, _, scratchOffset in
            kernels.materialize(gradient, into: destination + scratchOffset)
        }
        continueInScratch(destination)
    }

    /// Makes scratch, where a result has been written, what the block's elements are from now on.
    mutating func continueInScratch(_ result: UnsafeMutablePointer<Float>) {
        sumIsFinite = nil
        source = result
        sourceStride = region.segmentLength
        forgetPending()
        forgetRows()
    }

    /// Where a gradient of 16 bits begins in memory.
    var storedElements: UnsafeRawPointer {
        UnsafeRawPointer(memory.gradients.words(parameterIndex) + region.start)
    }

    /// Widens a 16-bit gradient into scratch, and brings one in order that is strided, where it has not been read yet.
    mutating func readSource() {
        guard source == scratch.unread else { return }
        if let view = memory.gradients.view(parameterIndex) {
            if view.isTransposed, !isStrided, !isTransformedInPlace { return readPanel(view) }
            source = scratch.widened
            return gather(view, into: source)
        }
        let words = memory.gradients.words(parameterIndex)
        source = scratch.widened
        for segment in 0..<region.segmentCount {
            kernels.widen(
                words + region.start + segment * region.stride, memory.gradients.elementType,
                into: source + segment * region.segmentLength, count: region.segmentLength)
        }
    }

    /// Whether the gradients' memory is written to, so that neighbours' rows must not be read.
    private var isTransformedInPlace: Bool { memory.output?.isSame(as: memory.gradients) ?? false }

    /// Brings the block's rows in order, and those of its neighbours with them, where each column has a few elements of all.
    private mutating func readPanel(_ view: TensorView) {
        let rows = firstRow..<firstRow + rowCount
        let fitting = min(ThreadScratch.Panel.rowCount, ThreadScratch.Panel.length / columnCount)
        let length = max(rowCount, fitting / rowCount * rowCount)
        let wanted =
            memory.runsBackwards
            ? max(0, rows.upperBound - length)..<rows.upperBound
            : rows.lowerBound..<min(rows.lowerBound + length, memory.shapes[parameterIndex].rowCount)
        let (columns, kernels) = (columnCount, kernels)
        source = scratch.panel(rows, of: columns, parameterIndex, in: memory.number, among: wanted) {
            rows, destination in
            view.gather(
                rows.lowerBound * columns..<rows.upperBound * columns, into: destination, kernels,
                ahead: memory.runsBackwards ? -rows.count : rows.count)
        }
    }

    /// Copies the block's part of a tensor to scratch.
    func gather(_ view: TensorView, into destination: UnsafeMutablePointer<Float>) {
        if isStrided, let matrix = view.matrix(region) {
            return view.gather(matrix, into: destination, kernels)
        }
        for segment in 0..<region.segmentCount {
            view.gather(memoryRange(segment), into: destination + segment * region.segmentLength, kernels)
        }
    }

    /// The positions of a segment in row-major order.
    func memoryRange(_ segment: Int) -> Range<Int> {
        let start = region.start + segment * region.stride
        return start..<start + region.segmentLength
    }

    // MARK: Means

    /// Subtracts the means of units that are the last dimension, for which no kernel has an argument.
    mutating func centerUnits() {
        guard isCentered else { return }
        readSource()
        let values = meansToFill()
        if !means.isKnown {
            kernels.unitMeans(
                source, segments: region.segmentCount, stride: sourceStride, units: region.segmentLength, into: values)
            rememberMeans()
        }
        isCentered = false
        let pending = factor
        materialize()
        kernels.subtractUnitMeans(
            source, segments: region.segmentCount, units: region.segmentLength, factor: Float(pending),
            means: UnsafePointer(values))
        // What is left has no means, whatever is done to it next.
        forgetRows()
    }

    /// The means of the source's rows if they are to be subtracted, computed when they are not known yet.
    mutating func resolvedMeans() -> UnsafePointer<Float>? {
        guard isCentered || limits?.isCentered == true else { return nil }
        let values = meansToFill()
        if !means.isKnown {
            readSource()
            kernels.rowMeans(source, rows: rowCount, columns: columnCount, into: values)
            rememberMeans()
        }
        return UnsafePointer(values)
    }

    mutating func meansToFill() -> UnsafeMutablePointer<Float> {
        if let values = means.values { return values }
        let values = scratch.rowMeans
        means.values = values
        return values
    }

    mutating func rememberMeans() {
        means.isKnown = true
        keptRows?.noteMeans()
    }
}
