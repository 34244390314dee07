import Dispatch
import Foundation

/// Products of matrices in row-major order, added to what a result already holds.
///
/// Every element is summed in the order of the inner dimension, on every machine and with any number of threads, so that
/// the bits are those of the plain triple loop. Vectors lie along rows of the result, and threads take rows of their own.
/// Pointers stay in this file; they spare the loops the checks that keep a compiler from vectors.
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

    private struct Extents: Sendable {
        let rows: Int
        let inner: Int
        let columns: Int
    }

    /// The left matrix, with how far apart its rows and inner elements lie.
    private struct LeftMatrix {
        let elements: UnsafePointer<Float>
        let rowStride: Int
        let innerStride: Int

        subscript(row: Int, inner: Int) -> Float { elements[row * rowStride + inner * innerStride] }
    }

    /// Below so many products of two numbers, threads cost more than they save.
    private static let threadedCount = 2_000_000
    private static let blockRows = 4
    private static let blockColumns = 8

    /// Hands rows to threads; the extents have been checked.
    private static func add(
        _ left: [Float], _ right: [Float], to result: inout [Float], _ extents: Extents,
        strides: (row: Int, inner: Int)
    ) {
        guard extents.rows > 0, extents.inner > 0, extents.columns > 0 else { return }
        left.withUnsafeBufferPointer { left in
            right.withUnsafeBufferPointer { right in
                result.withUnsafeMutableBufferPointer { result in
                    guard let left = left.baseAddress, let right = right.baseAddress, let result = result.baseAddress
                    else { return }
                    let matrix = LeftMatrix(elements: left, rowStride: strides.row, innerStride: strides.inner)
                    let blocks = (extents.rows + blockRows - 1) / blockRows
                    let isLarge = extents.rows * extents.inner * extents.columns >= threadedCount
                    let parts = isLarge ? min(blocks, ProcessInfo.processInfo.activeProcessorCount) : 1
                    if parts == 1 { return addRows(0..<extents.rows, matrix, right, to: result, extents) }
                    // Each thread writes rows of its own, and all are done before the pointers end.
                    nonisolated(unsafe) let (sharedMatrix, sharedRight, sharedResult) = (matrix, right, result)
                    DispatchQueue.concurrentPerform(iterations: parts) { part in
                        let first = part * blocks / parts * blockRows
                        let end = min((part + 1) * blocks / parts * blockRows, extents.rows)
                        addRows(first..<end, sharedMatrix, sharedRight, to: sharedResult, extents)
                    }
                }
            }
        }
    }

    /// Adds some rows of the product, four at a time.
    private static func addRows(
        _ rows: Range<Int>, _ left: LeftMatrix, _ right: UnsafePointer<Float>, to result: UnsafeMutablePointer<Float>,
        _ extents: Extents
    ) {
        // The factors of four rows, side by side for each inner element.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: extents.inner * blockRows) { factors in
            var row = rows.lowerBound
            while row + blockRows <= rows.upperBound {
                for inner in 0..<extents.inner {
                    for place in 0..<blockRows { factors[inner * blockRows + place] = left[row + place, inner] }
                }
                var column = 0
                while column + blockColumns <= extents.columns {
                    addBlock(factors, right + column, to: result + row * extents.columns + column, extents)
                    column += blockColumns
                }
                for place in 0..<blockRows {
                    addEach(column..<extents.columns, of: row + place, left, right, to: result, extents)
                }
                row += blockRows
            }
            while row < rows.upperBound {
                addEach(0..<extents.columns, of: row, left, right, to: result, extents)
                row += 1
            }
        }
    }

    /// Adds a block of four rows and eight columns, whose sums stay in registers over all inner elements.
    @inline(__always)
    private static func addBlock(
        _ factors: UnsafeMutableBufferPointer<Float>, _ right: UnsafePointer<Float>,
        to result: UnsafeMutablePointer<Float>, _ extents: Extents
    ) {
        let columns = extents.columns
        var rows = (
            load(result), load(result + columns), load(result + 2 * columns), load(result + 3 * columns)
        )
        for inner in 0..<extents.inner {
            let addends = load(right + inner * columns)
            rows.0 += addends * factors[inner * blockRows]
            rows.1 += addends * factors[inner * blockRows + 1]
            rows.2 += addends * factors[inner * blockRows + 2]
            rows.3 += addends * factors[inner * blockRows + 3]
        }
        store(rows.0, to: result)
        store(rows.1, to: result + columns)
        store(rows.2, to: result + 2 * columns)
        store(rows.3, to: result + 3 * columns)
    }

    /// Adds to some elements of a row, one inner element after another.
    @inline(__always)
    private static func addEach(
        _ range: Range<Int>, of row: Int, _ left: LeftMatrix, _ right: UnsafePointer<Float>,
        to result: UnsafeMutablePointer<Float>, _ extents: Extents
    ) {
        guard !range.isEmpty else { return }
        let sums = result + row * extents.columns
        for inner in 0..<extents.inner {
            let factor = left[row, inner]
            let addends = right + inner * extents.columns
            for column in range { sums[column] += factor * addends[column] }
        }
    }

    private static func load(_ pointer: UnsafePointer<Float>) -> SIMD8<Float> {
        UnsafeRawPointer(pointer).loadUnaligned(as: SIMD8<Float>.self)
    }

    private static func load(_ pointer: UnsafeMutablePointer<Float>) -> SIMD8<Float> { load(UnsafePointer(pointer)) }

    private static func store(_ numbers: SIMD8<Float>, to pointer: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(pointer).storeBytes(of: numbers, as: SIMD8<Float>.self)
    }
}
