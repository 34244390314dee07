public import DescentCore

extension SIMDBlock {
    public mutating func addNormalNoise(_ noise: NormalNoise) {
        materialize()
        let first = firstRow * columnCount
        guard isStrided else { return kernels.add(noise, to: source, count: count, from: first) }
        // Places count rows, which are columns here.
        let rows = scratch.transposed(0)
        kernels.transpose(
            source, stride: sourceStride, into: rows, stride: columnCount, rows: rowCount, columns: columnCount)
        kernels.add(noise, to: rows, count: count, from: first)
        kernels.transpose(
            rows, stride: columnCount, into: source, stride: sourceStride, rows: columnCount, columns: rowCount)
    }
}
