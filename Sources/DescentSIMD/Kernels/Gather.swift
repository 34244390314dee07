import DescentCore

// What lies with gaps, or in another order than row-major, is copied to where it lies without gaps, and back.

extension TensorView.Matrix {
    /// Hands each element's position in row-major order to a closure, and its distance from the first one in memory.
    @inline(__always)
    func forEachElement(_ body: (_ position: Int, _ distance: Int) -> Void) {
        for row in 0..<rows {
            for column in 0..<columns { body(row * columns + column, row * rowStride + column * columnStride) }
        }
    }
}

extension Kernels {
    /// Copies a matrix with gaps to memory without any.
    ///
    /// - Parameters:
    ///   - source: The matrix.
    ///   - matrix: How it lies.
    ///   - destination: Where it is copied to.
    ///   - ahead: How many rows further on those are that will be copied next; 0 if that is not known.
    func gather(
        _ source: UnsafePointer<Float>, _ matrix: TensorView.Matrix, into destination: UnsafeMutablePointer<Float>,
        ahead: Int = 0
    ) {
        copy(
            source, (matrix.rowStride, matrix.columnStride), to: destination, (matrix.columns, 1), rows: matrix.rows,
            columns: matrix.columns, ahead: ahead)
    }

    /// Copies a matrix without gaps to where one with gaps lies.
    func scatter(
        _ source: UnsafePointer<Float>, _ matrix: TensorView.Matrix, to destination: UnsafeMutablePointer<Float>
    ) {
        copy(
            source, (matrix.columns, 1), to: destination, (matrix.rowStride, matrix.columnStride), rows: matrix.rows,
            columns: matrix.columns)
    }

    /// How many elements lie from one row to the next, and from one column to the next.
    private typealias Strides = (row: Int, column: Int)

    /// Copies a matrix from where it lies to where it is to lie.
    private func copy(
        _ source: UnsafePointer<Float>, _ from: Strides, to destination: UnsafeMutablePointer<Float>,
        _ strides: Strides,
        rows: Int, columns: Int, ahead: Int = 0
    ) {
        if from.column == 1, strides.column == 1 {
            for row in 0..<rows {
                (destination + row * strides.row).update(from: source + row * from.row, count: columns)
            }
        } else if from.row == 1, strides.column == 1 {
            transpose(
                source, stride: from.column, into: destination, stride: strides.row, rows: rows, columns: columns,
                ahead: ahead)
        } else if from.column == 1, strides.row == 1 {
            transpose(
                source, stride: from.row, into: destination, stride: strides.column, rows: columns, columns: rows)
        } else {
            for row in 0..<rows {
                for column in 0..<columns {
                    destination[row * strides.row + column * strides.column] =
                        source[row * from.row + column * from.column]
                }
            }
        }
    }

    /// Widens a matrix of 16 bits with gaps to memory without any.
    func gather(
        _ source: UnsafePointer<UInt16>, _ elementType: ElementType, _ matrix: TensorView.Matrix,
        into destination: UnsafeMutablePointer<Float>
    ) {
        if matrix.rowStride == 1 { return gatherTransposed(source, elementType, matrix, into: destination) }
        // As many columns at once as are still in the nearest cache for the next row.
        let width = 64
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: width) { words in
            guard let start = words.baseAddress else { return }
            for column in stride(from: 0, to: matrix.columns, by: width) {
                let count = min(width, matrix.columns - column)
                for row in 0..<matrix.rows {
                    let first = source + row * matrix.rowStride + column * matrix.columnStride
                    for index in 0..<count { start[index] = first[index * matrix.columnStride] }
                    widen(start, elementType, into: destination + row * matrix.columns + column, count: count)
                }
            }
        }
    }

    /// Rounds a matrix without gaps to 16 bits, to where one with gaps lies.
    func scatter(
        _ source: UnsafePointer<Float>, _ elementType: ElementType, _ matrix: TensorView.Matrix,
        to destination: UnsafeMutablePointer<UInt16>
    ) {
        forEachTile(of: matrix) { row, column, rows, columns, tile in
            if matrix.rowStride == 1 {
                transpose(
                    source + row * matrix.columns + column, stride: matrix.columns, into: tile, stride: rows,
                    rows: columns, columns: rows)
                for index in 0..<columns {
                    narrow(
                        tile + index * rows, elementType,
                        into: destination + row + (column + index) * matrix.columnStride, count: rows)
                }
            } else {
                withUnsafeTemporaryAllocation(of: UInt16.self, capacity: columns) { words in
                    guard let words = words.baseAddress else { return }
                    for row in row..<row + rows {
                        narrow(source + row * matrix.columns + column, elementType, into: words, count: columns)
                        let start = destination + row * matrix.rowStride + column * matrix.columnStride
                        for index in 0..<columns { start[index * matrix.columnStride] = words[index] }
                    }
                }
            }
        }
    }

    /// Widens a matrix of 16 bits whose columns are contiguous to memory without gaps.
    private func gatherTransposed(
        _ source: UnsafePointer<UInt16>, _ elementType: ElementType, _ matrix: TensorView.Matrix,
        into destination: UnsafeMutablePointer<Float>
    ) {
        forEachTile(of: matrix) { row, column, rows, columns, tile in
            for index in 0..<columns {
                widen(
                    source + row + (column + index) * matrix.columnStride, elementType, into: tile + index * rows,
                    count: rows)
            }
            transpose(
                tile, stride: rows, into: destination + row * matrix.columns + column, stride: matrix.columns,
                rows: rows, columns: columns)
        }
    }

    /// Calls a closure for each part of a matrix that stays in the nearest cache, with room for as many floats.
    private func forEachTile(
        of matrix: TensorView.Matrix,
        _ body: (_ row: Int, _ column: Int, _ rows: Int, _ columns: Int, UnsafeMutablePointer<Float>) -> Void
    ) {
        let (height, width) = (32, 64)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: height * width) { tile in
            guard let tile = tile.baseAddress else { return }
            for column in stride(from: 0, to: matrix.columns, by: width) {
                for row in stride(from: 0, to: matrix.rows, by: height) {
                    body(row, column, min(height, matrix.rows - row), min(width, matrix.columns - column), tile)
                }
            }
        }
    }
}
