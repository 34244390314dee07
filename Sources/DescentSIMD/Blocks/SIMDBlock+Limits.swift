import DescentCore

/// Operations on elements, one by one, that kernels carry out as they read: repairing, clamping, clipping rows.
///
/// They are limits, which come after the factor and the means that were pending, and before the factor that is pending from
/// then on. What has no place in this order has them carried out in scratch first.
extension SIMDBlock {
    public mutating func clamp(to range: ClosedRange<Float>) {
        beginLimits(joining: limits.map { $0.range == -Float.infinity ... .infinity && $0.rowFactors == nil })
        limits?.range = range
    }

    public mutating func zeroNonFinite() {
        // What is known to be finite stays what it is.
        if sourceSquares != nil, factor == 1, factors == nil, !isCentered, limits == nil { return }
        beginLimits(joining: limits.map(\.onlyRepairs))
        limits?.repairs = true
    }

    public mutating func clipRows(factor: Float, minimumNorm: Float, epsilon: Float) {
        slotAccess.requireParameters()
        guard memory.parameters != nil else { return }
        if isStrided { return clipUnits(factor: factor, minimumNorm: minimumNorm, epsilon: epsilon) }
        if let limits, self.factor != 1 || limits.rowFactors != nil { materialize() }
        // Rows are those of all tensors.
        if self.factors != nil { materialize() }
        if !Float(self.factor).isNormal { bringFactorIntoRange() }
        let clip = RowClip(factor: factor, minimumNorm: minimumNorm, epsilon: epsilon)
        let (factors, clips) = rowFactors(of: clip)
        if !clips, self.factor == 1, !isCentered, limits == nil { return }
        beginLimits(joining: limits.map { $0.rowFactors == nil })
        limits?.rowFactors = clips ? UnsafePointer(factors) : nil
    }

    /// What each row is multiplied by, and whether that is not 1 for all: as an earlier sweep has found, or made now.
    private mutating func rowFactors(of clip: RowClip) -> (factors: UnsafeMutablePointer<Float>, clips: Bool) {
        let pending = PendingRowClip(clip: clip, factor: self.factor, isCentered: isCentered, limits: limits)
        if let keptRows, let clips = keptRows.clips(pending) { return (keptRows.factors, clips) }
        let factors = keptRows?.factors ?? scratch.rowFactors
        let (kernels, parameters) = (kernels, parameters)
        var (row, clips) = (0, false)
        while row < rowCount {
            forEachSegment { gradient, offset, scratchOffset in
                row = kernels.clipRows(
                    gradient, by: parameters(offset, scratchOffset), from: row, clip, factors: factors, clips: &clips)
            }
            guard row < rowCount else { break }
            materialize()
            let place = row * columnCount
            factors[row] = kernels.rowFactor(
                source + place, by: parameters(region.start, 0) + place, count: columnCount, clip)
            if factors[row] != 1 { clips = true }
            row += 1
        }
        // Where elements have been carried out in scratch, those in memory are not what the factors are of.
        keptRows?.noteFactors(of: pending, clips: clips)
        return (factors, clips)
    }

    /// Clips units that are the last dimension.
    private mutating func clipUnits(factor: Float, minimumNorm: Float, epsilon: Float) {
        materialize()
        kernels.clipUnits(
            source, stride: sourceStride, by: parameters(region.start, 0),
            parameterStride: parametersAreLent ? region.segmentLength : region.stride,
            segments: region.segmentCount,
            units: region.segmentLength, factor: factor, minimumNorm: minimumNorm, epsilon: epsilon)
    }

    /// Begins limits with what has been pending, or goes on with those that there are.
    ///
    /// - Parameter isJoined: Whether what comes next may be done at the same time as the limits that there are, nothing being
    ///   pending behind them; nil where there are none.
    private mutating func beginLimits(joining isJoined: Bool?) {
        sumIsFinite = nil
        if factors != nil { materialize() }
        if isJoined == true, factor == 1, limits != nil { return }
        if limits != nil { materialize() }
        if !Float(factor).isNormal { bringFactorIntoRange() }
        if isStrided { centerUnits() }
        limits = ElementLimits(factor: Float(factor), isCentered: isCentered)
        factor = 1
        isCentered = false
    }

    /// Carries limits out, and leaves pending what comes after them.
    mutating func applyLimits() {
        guard limits != nil else { return }
        let (pending, pendingOfEach) = (factor, factors)
        (factor, factors) = (1, nil)
        materialize()
        (factor, factors) = (pending, pendingOfEach)
    }

    /// The L2 norm of limited elements; nil where it takes more than one pass to measure.
    mutating func limitedNorm() -> Double? {
        if let limits, limits.onlyRepairs, let sourceSquares, !isStrided,
            sourceSquares >= Kernels.smallestMeanSquare * Double(count)
        {
            return sourceSquares.squareRoot() * Double(Float(factor).magnitude)
        }
        let kernels = kernels
        var combiner = Norm.Combiner(.l2)
        var isMeasured = true
        forEachSegment { gradient, _, _ in
            guard let norm = kernels.limitedNorm(gradient) else {
                isMeasured = false
                return
            }
            combiner.add(norm * Double(gradient.factor.magnitude))
        }
        return isMeasured ? combiner.value : nil
    }

    // MARK: What is not finite

    public mutating func nonFiniteCount() -> Int {
        if provesFinite() { return 0 }
        let kernels = kernels
        var found = 0
        forEachSegment { gradient, _, _ in found += kernels.nonFiniteCount(gradient) }
        return found
    }

    /// Whether the sum of squares, which is kept for a norm, shows that elements are finite and stay so when they are
    /// multiplied.
    private mutating func provesFinite() -> Bool {
        guard limits == nil, factors == nil, !isCentered, !isStrided, Float(factor).isNormal else { return false }
        let squares = sourceSquares ?? sumOfSourceSquares()
        // Each square has been rounded.
        let bound = squares.squareRoot() * abs(factor) * (1 + 0x1p-10)
        guard squares.isFinite, bound <= Double(Float.greatestFiniteMagnitude) else { return false }
        sourceSquares = squares
        return true
    }

    private mutating func sumOfSourceSquares() -> Double {
        if source == scratch.unread, !memory.gradients.isStrided(parameterIndex) {
            return kernels.sumOfSquares(
                storedElements, memory.gradients.elementType(parameterIndex), count: count)
        }
        readSource()
        return kernels.sumOfSquares(source, count: count, minus: 0)
    }
}
