import Descent
import ExampleSupport

/// A matrix of floats, row after row.
public struct Matrix {
    public let rowCount: Int
    public let columnCount: Int
    public var elements: [Float]

    /// A matrix of given elements.
    init(_ rowCount: Int, _ columnCount: Int, _ elements: [Float]) {
        stopUnless(elements.count == rowCount * columnCount, "A matrix needs as many elements as it has places.")
        self.rowCount = rowCount
        self.columnCount = columnCount
        self.elements = elements
    }

    /// A matrix of zeros.
    init(zeros rowCount: Int, _ columnCount: Int) {
        self.init(rowCount, columnCount, [Float](repeating: 0, count: rowCount * columnCount))
    }

    /// Where a row's elements are.
    public func range(ofRow row: Int) -> Range<Int> { row * columnCount..<(row + 1) * columnCount }

    /// The matrix with rows and columns exchanged.
    func transposed() -> Matrix {
        var result = Matrix(zeros: columnCount, rowCount)
        for row in 0..<rowCount {
            for column in 0..<columnCount {
                result.elements[column * rowCount + row] = elements[row * columnCount + column]
            }
        }
        return result
    }

    /// The matrix product, summed in float32.
    func times(_ other: Matrix) -> Matrix {
        stopUnless(
            columnCount == other.rowCount,
            "The columns of the left matrix have to match the rows of the right one.")
        var product = Matrix(zeros: rowCount, other.columnCount)
        MatrixProduct.add(
            elements, other.elements, to: &product.elements, inner: columnCount, columns: other.columnCount)
        return product
    }

    /// The sum of each column.
    func columnSums() -> [Float] {
        var sums = [Float](repeating: 0, count: columnCount)
        for row in 0..<rowCount {
            for column in 0..<columnCount { sums[column] += elements[row * columnCount + column] }
        }
        return sums
    }

    /// Adds a vector to every row.
    mutating func addToRows(_ vector: [Float]) {
        for row in 0..<rowCount {
            for column in 0..<columnCount { elements[row * columnCount + column] += vector[column] }
        }
    }
}
