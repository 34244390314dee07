import ExampleSupport

/// A matrix of floats, row after row; in most of them a row is a token of a batch.
package struct Matrix: Equatable, Sendable {
    package let rowCount: Int
    package let columnCount: Int
    package var elements: [Float]

    /// A matrix of given elements.
    package init(_ rowCount: Int, _ columnCount: Int, _ elements: [Float]) {
        precondition(elements.count == rowCount * columnCount, "a matrix needs as many elements as it has places")
        self.rowCount = rowCount
        self.columnCount = columnCount
        self.elements = elements
    }

    /// A matrix of zeros.
    package init(zeros rowCount: Int, _ columnCount: Int) {
        self.init(rowCount, columnCount, [Float](repeating: 0, count: rowCount * columnCount))
    }

    /// Where a row's elements are.
    package func range(ofRow row: Int) -> Range<Int> { row * columnCount..<(row + 1) * columnCount }

    /// A B, for this matrix A.
    package func times(_ other: Matrix) -> Matrix {
        var product = Matrix(zeros: rowCount, other.columnCount)
        MatrixProduct.add(
            elements, other.elements, to: &product.elements, inner: columnCount, columns: other.columnCount)
        return product
    }

    /// Aᵀ B, for this matrix A.
    package func transposedTimes(_ other: Matrix) -> Matrix {
        var product = Matrix(zeros: columnCount, other.columnCount)
        MatrixProduct.addTransposed(
            elements, other.elements, to: &product.elements, inner: rowCount, columns: other.columnCount)
        return product
    }

    /// The matrix with rows and columns exchanged.
    package func transposed() -> Matrix {
        var result = Matrix(zeros: columnCount, rowCount)
        elements.withUnsafeBufferPointer { elements in
            result.elements.withUnsafeMutableBufferPointer { result in
                for row in 0..<rowCount {
                    for column in 0..<columnCount {
                        result[column * rowCount + row] = elements[row * columnCount + column]
                    }
                }
            }
        }
        return result
    }

    /// The part where some rows and some columns meet.
    package subscript(rows: Range<Int>, columns: Range<Int>) -> Matrix {
        get {
            var part: [Float] = []
            part.reserveCapacity(rows.count * columns.count)
            for row in rows {
                let start = row * columnCount
                part += elements[start + columns.lowerBound..<start + columns.upperBound]
            }
            return Matrix(rows.count, columns.count, part)
        }
        set {
            for row in rows {
                let start = row * columnCount
                elements.replaceSubrange(
                    start + columns.lowerBound..<start + columns.upperBound,
                    with: newValue.elements[newValue.range(ofRow: row - rows.lowerBound)])
            }
        }
    }

    /// Each element plus the other matrix's element in its place.
    package static func + (left: Matrix, right: Matrix) -> Matrix {
        left.combined(with: right) { $0 + $1 }
    }

    /// A matrix of what a closure makes of each element.
    ///
    /// The loop runs over pointers, so that the compiler may turn it into vectors.
    @inline(__always)
    func mapped(_ transform: (Float) -> Float) -> Matrix {
        Matrix(rowCount, columnCount, elements.mapped(transform))
    }

    /// A matrix of what a closure makes of each element and the other matrix's element in its place.
    @inline(__always)
    func combined(with other: Matrix, _ combine: (Float, Float) -> Float) -> Matrix {
        precondition(elements.count == other.elements.count, "matrices of different sizes")
        let combined = [Float](unsafeUninitializedCapacity: elements.count) { result, count in
            elements.withUnsafeBufferPointer { left in
                other.elements.withUnsafeBufferPointer { right in
                    for index in 0..<left.count { result[index] = combine(left[index], right[index]) }
                }
            }
            count = elements.count
        }
        return Matrix(rowCount, columnCount, combined)
    }
}

extension Array where Element: BitwiseCopyable {
    /// What a closure makes of each element, in a loop that the compiler may turn into vectors.
    @inline(__always)
    func mapped<Result: BitwiseCopyable>(_ transform: (Element) -> Result) -> [Result] {
        [Result](unsafeUninitializedCapacity: count) { result, resultCount in
            withUnsafeBufferPointer { elements in
                for index in 0..<elements.count { result[index] = transform(elements[index]) }
            }
            resultCount = count
        }
    }
}
