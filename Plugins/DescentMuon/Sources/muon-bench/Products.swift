import DescentMuon
import SeededNumbers

/// The products of a step, and nothing else: what Muon would cost if all the rest were free.
final class Products {
    private let shape: MatrixProducts
    private let matrixCount: Int
    private let iterations: Int
    private let matrix: UnsafeMutablePointer<Float>
    private let result: UnsafeMutablePointer<Float>
    private let symmetric: UnsafeMutablePointer<Float>
    private let polynomial: UnsafeMutablePointer<Float>

    /// Makes matrices to multiply; numbers are such that none grows out of range.
    init(_ arguments: Arguments, iterations: Int) {
        shape = MatrixProducts(rows: arguments.rows, columns: arguments.columns)
        matrixCount = arguments.matrixCount
        self.iterations = iterations
        let (count, gramCount) = (arguments.rows * arguments.columns, shape.gramSize * shape.gramSize)
        var generator = SeededGenerator(seed: 3)
        func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
            let elements = UnsafeMutablePointer<Float>.allocate(capacity: count)
            for index in 0..<count { (elements + index).initialize(to: .random(in: -0.5...0.5, using: &generator)) }
            return elements
        }
        matrix = allocate(count)
        result = allocate(count)
        symmetric = allocate(gramCount)
        polynomial = allocate(gramCount)
    }

    deinit {
        for elements in [matrix, result, symmetric, polynomial] { elements.deallocate() }
    }

    /// Multiplies as often as a step of all matrices does.
    func run() {
        for _ in 0..<matrixCount * iterations {
            shape.formGram(of: matrix, into: polynomial)
            shape.add(squareOf: symmetric, times: 1, to: polynomial)
            shape.multiply(matrix, by: polynomial, times: 1, into: result)
        }
    }
}
