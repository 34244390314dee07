import ExampleSupport
import LanguageModel
import Testing

/// Products in blocks and on threads, held against the plain triple loop.
@Suite struct MatrixProductTests {
    /// The sum in the order of the inner dimension, on top of what is there.
    private func plain(_ left: Matrix, _ right: Matrix, onto start: Matrix) -> Matrix {
        var result = start
        for row in 0..<left.rowCount {
            for column in 0..<right.columnCount {
                for inner in 0..<left.columnCount {
                    result.elements[row * right.columnCount + column] +=
                        left.elements[row * left.columnCount + inner]
                        * right.elements[inner * right.columnCount + column]
                }
            }
        }
        return result
    }

    private func check(rows: Int, inner: Int, columns: Int, _ location: SourceLocation = #_sourceLocation) {
        let (left, right) = (Matrix.random(rows, inner, seed: 1), Matrix.random(inner, columns, seed: 2))
        let start = Matrix.random(rows, columns, seed: 3)
        let expected = plain(left, right, onto: start)
        var product = start
        MatrixProduct.add(left.elements, right.elements, to: &product.elements, inner: inner, columns: columns)
        #expect(product == expected, "\(rows) x \(inner) x \(columns)", sourceLocation: location)
        var other = start
        MatrixProduct.addTransposed(
            left.transposed().elements, right.elements, to: &other.elements, inner: inner, columns: columns)
        #expect(other == expected, "\(rows) x \(inner) x \(columns), transposed", sourceLocation: location)
    }

    @Test func `products of all small sizes have the bits of the plain loop`() {
        for rows in 1...6 {
            for columns in 1...18 { for inner in [1, 2, 7] { check(rows: rows, inner: inner, columns: columns) } }
        }
    }

    @Test func `products that are shared out to threads have the bits of the plain loop`() {
        check(rows: 131, inner: 129, columns: 125)
    }
}
