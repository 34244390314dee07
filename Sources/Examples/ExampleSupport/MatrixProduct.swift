/// Products of matrices in row-major order, added to what a result already holds.
///
/// The innermost loop runs along memory and adds to different elements, so that the compiler may use vectors without
/// changing a bit: every element is summed in the same order on every machine. Pointers stay in this file; they spare
/// the loop the checks that keep a compiler from vectors.
package enum MatrixProduct {
    /// Adds left * right: [rows, inner] times [inner, columns].
    package static func add(_ left: [Float], _ right: [Float], to result: inout [Float], inner: Int, columns: Int) {
        let rows = left.count / inner
        precondition(left.count == rows * inner && right.count == inner * columns && result.count == rows * columns)
        add(left, right, to: &result, Extents(rows: rows, inner: inner, columns: columns), strides: (inner, 1))
    }

    /// Adds the transpose of left, times right: [inner, rows] and [inner, columns].
    package static func addTransposed(
        _ left: [Float], _ right: [Float], to result: inout [Float], inner: Int, columns: Int
    ) {
        let rows = left.count / inner
        precondition(left.count == rows * inner && right.count == inner * columns && result.count == rows * columns)
        add(left, right, to: &result, Extents(rows: rows, inner: inner, columns: columns), strides: (1, rows))
    }

    private struct Extents {
        let rows: Int
        let inner: Int
        let columns: Int
    }

    /// The loops, with how far apart rows and inner elements of the left matrix lie; the extents have been checked.
    private static func add(
        _ left: [Float], _ right: [Float], to result: inout [Float], _ extents: Extents,
        strides: (row: Int, inner: Int)
    ) {
        let columns = extents.columns
        left.withUnsafeBufferPointer { left in
            right.withUnsafeBufferPointer { right in
                result.withUnsafeMutableBufferPointer { result in
                    for row in 0..<extents.rows {
                        let sums = UnsafeMutableBufferPointer(rebasing: result[row * columns..<(row + 1) * columns])
                        func factor(_ inner: Int) -> Float { left[row * strides.row + inner * strides.inner] }
                        func addends(_ inner: Int) -> UnsafeBufferPointer<Float> {
                            UnsafeBufferPointer(rebasing: right[inner * columns..<(inner + 1) * columns])
                        }
                        var inner = 0
                        // Four at a time, in the same order: a sum is loaded and stored once for four products.
                        while inner + 4 <= extents.inner {
                            let factors = (factor(inner), factor(inner + 1), factor(inner + 2), factor(inner + 3))
                            let rows = (addends(inner), addends(inner + 1), addends(inner + 2), addends(inner + 3))
                            for column in 0..<columns {
                                let first = sums[column] + factors.0 * rows.0[column] + factors.1 * rows.1[column]
                                sums[column] = first + factors.2 * rows.2[column] + factors.3 * rows.3[column]
                            }
                            inner += 4
                        }
                        while inner < extents.inner {
                            let factor = factor(inner)
                            let addends = addends(inner)
                            for column in 0..<columns { sums[column] += factor * addends[column] }
                            inner += 1
                        }
                    }
                }
            }
        }
    }
}
