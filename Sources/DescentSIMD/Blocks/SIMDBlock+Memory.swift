import DescentCore

/// Where the elements of a block are, and what is still to be done to them.
extension SIMDBlock {
    /// Runs a body for each stretch of the block that is one in memory, with its offset there and in scratch.
    ///
    /// A gradient of 16 bits is handed over as it is stored, where kernels can take it.
    mutating func forEachRun(_ body: (_ run: PendingGradient, _ offset: Int, _ compact: Int) -> Void) {
        if !Float(factor).isNormal { bringFactorIntoRange() }
        if isStriped { centerUnits() }
        let means = resolvedMeans()
        if !kernels.widensAsItLoads { readSource() }
        let isStored = source == scratch.unread
        let elementType = isStored ? memory.gradients.elementType : .float32
        let elements = isStored ? storedElements : UnsafeRawPointer(source)
        let stride = (isStored ? stripe.stride : sourceStride) * elementType.byteCount
        let (rows, columns) = isStriped ? (1, stripe.lineLength) : (rowCount, columnCount)
        for line in 0..<stripe.lines {
            let run = PendingGradient(
                source: elements + line * stride, elementType, rows: rows, columns: columns, factor: Float(factor),
                means: means)
            body(run, stripe.start + line * stripe.stride, line * stripe.lineLength)
        }
    }

    /// Carries out so much of a factor beyond Float's normal range that the rest, a power of two, is within it.
    mutating func bringFactorIntoRange() {
        guard factor != 0, factor.isFinite else { return }
        let power = factor.magnitude < 1 ? 0x1p100 : 0x1p-100
        factor *= power
        materialize()
        factor = 1 / power
    }

    /// Makes a working copy of the block in scratch, with everything that is pending carried out.
    mutating func materialize() {
        sumIsFinite = nil
        let kernels = kernels
        if isWorkingCopy, factor == 1, !isCentered { return }
        let destination = scratch.gradient
        forEachRun { run, _, compact in kernels.materialize(run, into: destination + compact) }
        source = destination
        sourceStride = stripe.lineLength
        factor = 1
        isCentered = false
        means = MeansCache()
    }

    /// Where a gradient of 16 bits begins in memory.
    var storedElements: UnsafeRawPointer {
        UnsafeRawPointer(memory.gradients.words(parameterIndex) + stripe.start)
    }

    /// Widens a 16-bit gradient into scratch, where it has not been read yet.
    mutating func readSource() {
        guard source == scratch.unread else { return }
        let words = memory.gradients.words(parameterIndex)
        source = scratch.widened
        for line in 0..<stripe.lines {
            kernels.widen(
                words + stripe.start + line * stripe.stride, memory.gradients.elementType,
                into: source + line * stripe.lineLength, count: stripe.lineLength)
        }
    }

    /// Subtracts the means of units that are the last dimension, for which no kernel has an argument.
    private mutating func centerUnits() {
        guard isCentered else { return }
        readSource()
        let values = meansToFill()
        if !means.isKnown {
            PortableKernels.unitMeans(
                source, lines: stripe.lines, stride: sourceStride, units: stripe.lineLength, into: values)
            rememberMeans()
        }
        isCentered = false
        let pending = factor
        materialize()
        PortableKernels.subtractUnitMeans(
            source, lines: stripe.lines, units: stripe.lineLength, factor: Float(pending), means: UnsafePointer(values))
        // What is left has no means, whatever is done to it next.
        means = MeansCache()
    }

    /// The means of the source's rows if they are to be subtracted, computed when they are not known yet.
    mutating func resolvedMeans() -> UnsafePointer<Float>? {
        guard isCentered else { return nil }
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
        means.flag?.pointee = true
    }
}
