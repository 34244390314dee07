import DescentMuon

/// Newton-Schulz as the formula says it, in double precision: what the fast one is held against.
enum PlainNewtonSchulz {
    /// A matrix as its rows.
    typealias Matrix = [[Double]]

    static func orthogonalized(_ matrix: Matrix, by iteration: NewtonSchulz, times scale: Double) -> Matrix {
        let norm = matrix.joined().reduce(0) { $0 + $1 * $1 }.squareRoot()
        var x = matrix.map { row in row.map { $0 / (norm + Double(iteration.epsilon)) } }
        for _ in 0..<iteration.iterations {
            let gram = product(x, transposed(x))
            let square = product(gram, gram)
            let (third, fifth) = (product(gram, x), product(square, x))
            for row in x.indices {
                for column in x[row].indices {
                    x[row][column] =
                        Double(iteration.linear) * x[row][column] + Double(iteration.cubic) * third[row][column]
                        + Double(iteration.quintic) * fifth[row][column]
                }
            }
        }
        return x.map { row in row.map { $0 * scale } }
    }

    static func transposed(_ matrix: Matrix) -> Matrix {
        guard let first = matrix.first else { return [] }
        return first.indices.map { column in matrix.map { $0[column] } }
    }

    static func product(_ left: Matrix, _ right: Matrix) -> Matrix {
        let columns = transposed(right)
        return left.map { row in columns.map { column in zip(row, column).reduce(0) { $0 + $1.0 * $1.1 } } }
    }
}
