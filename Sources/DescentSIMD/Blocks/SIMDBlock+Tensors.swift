public import DescentCore

/// Blocks of several small tensors, which lie side by side and have rows of one length.
extension SIMDBlock {
    /// Calls a closure for each tensor of the block, with the first of its rows in the block and their number.
    func forEachTensor(_ body: (_ tensor: Int, _ firstRow: Int, _ rowCount: Int) -> Void) {
        let shapes = memory.shapes + parameterIndex
        var row = 0
        for tensor in 0..<tensorCount {
            body(tensor, row, shapes[tensor].rowCount)
            row += shapes[tensor].rowCount
        }
    }

    /// The rows of one tensor in the block.
    private func rows(ofTensor tensor: Int) -> Range<Int> {
        var range = 0..<0
        forEachTensor { if $0 == tensor { range = $1..<$1 + $2 } }
        return range
    }

    public mutating func scale(byEach factors: UnsafePointer<Double>) {
        var areAlike = true
        for tensor in 1..<max(tensorCount, 1) where factors[tensor] != factors[0] { areAlike = false }
        if areAlike, self.factors == nil { return scale(by: factors[0]) }
        let own = scratch.factors(tensorCount)
        for tensor in 0..<tensorCount { own[tensor] = (self.factors?[tensor] ?? factor) * factors[tensor] }
        (self.factors, factor) = (own, 1)
    }

    public mutating func measureNorms(_ norm: Norm, into norms: UnsafeMutablePointer<Double>) {
        if tensorCount == 1 {
            norms[0] = self.norm(norm)
            return
        }
        applyLimits()
        readSource()
        let (source, columns, kernels, factor, factors) = (source, columnCount, kernels, factor, factors)
        let isFilling = isCentered && norm == .l2
        let means = isFilling ? nil : resolvedMeans()
        let filled = isFilling ? meansToFill() : nil
        forEachTensor { tensor, first, rows in
            let elements = source + first * columns
            let size: Double
            if let filled {
                var squares = 0.0
                kernels.addCenteredSquares(
                    elements, rows: rows, columns: columns, means: filled + first, to: &squares)
                size = squares.squareRoot()
            } else {
                size = kernels.norm(norm, elements, rows: rows, columns: columns, means: means.map { $0 + first })
            }
            // As elements will be multiplied by it.
            norms[tensor] = size * Double(Float(factors?[tensor] ?? factor).magnitude)
        }
        if isFilling { rememberMeans() }
    }

    public mutating func parametersAreFinite(ofTensor tensor: Int) -> Bool {
        if tensorCount == 1 { return parametersAreFinite() }
        let rows = rows(ofTensor: tensor)
        let first = rows.lowerBound * columnCount
        return kernels.isFinite(parameters(region.start + first, first), count: rows.count * columnCount)
    }
}
