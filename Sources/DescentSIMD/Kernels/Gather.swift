import DescentCore

// What lies with gaps, or in another order than row-major, is copied to where it lies without gaps, and back.

extension PortableKernels {
    /// Hands each element of a matrix with gaps to a closure, with its position in row-major order.
    @inline(__always)
    static func gather<Element>(
        _ source: UnsafePointer<Element>, _ matrix: TensorView.Matrix, _ body: (Int, Element) -> Void
    ) {
        for row in 0..<matrix.rows {
            let start = source + row * matrix.rowStride
            for column in 0..<matrix.columns {
                body(row * matrix.columns + column, start[column * matrix.columnStride])
            }
        }
    }

    /// Has a closure give each element of a matrix with gaps, by its position in row-major order.
    @inline(__always)
    static func scatter<Element>(
        _ matrix: TensorView.Matrix, to destination: UnsafeMutablePointer<Element>, _ body: (Int) -> Element
    ) {
        for row in 0..<matrix.rows {
            let start = destination + row * matrix.rowStride
            for column in 0..<matrix.columns {
                start[column * matrix.columnStride] = body(row * matrix.columns + column)
            }
        }
    }
}

extension PortableKernels {
    /// Makes the columns of a matrix rows: `destination[row * stride + column] = source[column * sourceStride + row]`.
    static func transpose(
        _ source: UnsafePointer<Float>, stride sourceStride: Int, into destination: UnsafeMutablePointer<Float>,
        stride: Int, rows: Int, columns: Int
    ) {
        for row in 0..<rows {
            for column in 0..<columns { destination[row * stride + column] = source[column * sourceStride + row] }
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
}
