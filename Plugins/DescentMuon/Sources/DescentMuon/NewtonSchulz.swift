import DescentCore

/// The iteration that makes a matrix orthogonal, nearly.
///
///     X = M / (norm(M) + epsilon)                                   (the Frobenius norm)
///     X = linear * X + cubic * (X Xᵀ) X + quintic * (X Xᵀ)² X       (as often as there are iterations)
///
/// With M = U S Vᵀ, its singular value decomposition, what comes out is U S' Vᵀ, where singular values S that are not
/// tiny compared to the norm have become 0.7 to 1.2: the usual coefficients are those that lift small values fastest, and
/// do not converge to 1. A matrix of zeros stays one; NaN or infinity anywhere makes all elements NaN. Jordan et al.,
/// "Muon: an optimizer for hidden layers in neural networks" (2024).
///
/// The Gram matrix X Xᵀ, which is Xᵀ X of a matrix with more rows than columns, and its square are symmetric: half of each
/// is computed. With m the shorter side of the matrix and n the longer, an iteration takes 3 m² n + m³ operations.
public struct NewtonSchulz: Hashable, Sendable {
    /// How often the polynomial is applied.
    public var iterations: Int
    /// What X is multiplied by.
    public var linear: Float
    /// What the term of the third degree is multiplied by.
    public var cubic: Float
    /// What the term of the fifth degree is multiplied by.
    public var quintic: Float
    /// What keeps the divisor from 0.
    public var epsilon: Float

    /// Describes an iteration.
    ///
    /// - Parameters:
    ///   - iterations: How often the polynomial is applied, at least 1.
    ///   - linear: The coefficient of the first degree, finite.
    ///   - cubic: The coefficient of the third degree, finite.
    ///   - quintic: The coefficient of the fifth degree, finite.
    ///   - epsilon: What keeps the divisor from 0, finite and at least 0.
    public init(
        iterations: Int = 5, linear: Float = 3.4445, cubic: Float = -4.775, quintic: Float = 2.0315,
        epsilon: Float = 1e-8
    ) {
        self.iterations = iterations
        self.linear = linear
        self.cubic = cubic
        self.quintic = quintic
        self.epsilon = epsilon
    }

    /// How many floats of scratch a matrix needs: as many as it has, and two Gram matrices.
    package static func scratchCount(rows: Int, columns: Int) -> Int {
        let gramSize = min(rows, columns)
        return rows * columns + 2 * gramSize * gramSize
    }

    /// Makes a matrix orthogonal in place, and multiplies it by a number.
    ///
    /// - Parameters:
    ///   - matrix: The matrix, row by row; its count is `rows * columns`.
    ///   - rows: The number of rows.
    ///   - columns: The number of columns.
    ///   - scale: What the result is multiplied by.
    ///   - scratch: At least ``scratchCount(rows:columns:)`` floats, of any value.
    package func orthogonalize(
        _ matrix: UnsafeMutableBufferPointer<Float>, rows: Int, columns: Int, times scale: Float = 1,
        scratch: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(matrix.count == rows * columns, "The matrix has to have \(rows) x \(columns) elements.")
        precondition(
            scratch.count >= Self.scratchCount(rows: rows, columns: columns), "The scratch memory is too small.")
        guard let matrix = matrix.baseAddress, let scratch = scratch.baseAddress, rows > 0, columns > 0 else { return }
        let count = rows * columns
        let norm = frobeniusNorm(UnsafePointer(matrix), count: count)
        guard norm > 0, norm.isFinite else { return matrix.update(repeating: norm == 0 ? 0 : .nan, count: count) }
        let products = MatrixProducts(rows: rows, columns: columns)
        let gram = scratch + count
        let polynomial = gram + products.gramSize * products.gramSize
        // The two places that X changes between; it has to end in the matrix.
        var (source, target) = iterations.isMultiple(of: 2) ? (matrix, scratch) : (scratch, matrix)
        let factor = 1 / (norm + Double(epsilon))
        for index in 0..<count { source[index] = Float(Double(matrix[index]) * factor) }
        for iteration in 1...iterations {
            formPolynomial(of: source, products, gram: gram, into: polynomial)
            products.multiply(source, by: polynomial, times: iteration == iterations ? scale : 1, into: target)
            swap(&source, &target)
        }
    }

    /// Writes the lower triangle of linear * I + cubic * G + quintic * G², where G is the Gram matrix of X.
    private func formPolynomial(
        of x: UnsafeMutablePointer<Float>, _ products: MatrixProducts, gram: UnsafeMutablePointer<Float>,
        into polynomial: UnsafeMutablePointer<Float>
    ) {
        products.formGram(of: x, into: gram)
        SymmetricMatrix(elements: gram, size: products.gramSize).mirror(writingLowerTo: polynomial, times: cubic)
        products.add(squareOf: gram, times: quintic, to: polynomial)
        SymmetricMatrix(elements: polynomial, size: products.gramSize).addToDiagonal(linear)
    }
}

extension NewtonSchulz {
    /// Checks that all is in its range.
    ///
    /// - Throws: `DescentError` with code `invalidSetting`.
    func validate(for owner: String) throws(DescentError) {
        try DescentError.require(
            iterations >= 1, owner, "newtonSchulz.iterations is \(iterations); it has to be at least 1.")
        for (name, value) in [("linear", linear), ("cubic", cubic), ("quintic", quintic)] {
            try DescentError.require(
                value.isFinite, owner, "newtonSchulz.\(name) is \(value); it has to be a finite number.")
        }
        try DescentError.require(
            epsilon.isFinite && epsilon >= 0, owner,
            "newtonSchulz.epsilon is \(epsilon); it has to be a finite number of at least 0.")
    }
}

extension NewtonSchulz: Codable {
    private enum CodingKeys: CodingKey { case iterations, linear, cubic, quintic, epsilon }

    /// Reads the settings; those that are absent are as usual.
    public init(from decoder: any Decoder) throws {
        let (settings, usual) = (try decoder.container(keyedBy: CodingKeys.self), Self())
        try self.init(
            iterations: settings.value(.iterations, or: usual.iterations),
            linear: settings.value(.linear, or: usual.linear), cubic: settings.value(.cubic, or: usual.cubic),
            quintic: settings.value(.quintic, or: usual.quintic), epsilon: settings.value(.epsilon, or: usual.epsilon))
    }
}

/// The root of the sum of all squares, in double precision and an order that depends on the count alone.
private func frobeniusNorm(_ elements: UnsafePointer<Float>, count: Int) -> Double {
    let wholeVectors = count / 8 * 8
    var sums = SIMD8<Double>.zero
    for index in stride(from: 0, to: wholeVectors, by: 8) {
        let vector = SIMD8<Double>(UnsafeRawPointer(elements + index).loadUnaligned(as: SIMD8<Float>.self))
        sums += vector * vector
    }
    var sum = sums.sum()
    for index in wholeVectors..<count { sum += Double(elements[index]) * Double(elements[index]) }
    return sum.squareRoot()
}
