#if canImport(Accelerate)
    import Accelerate
#else
    import CBLAS
#endif

/// The products that a step of Newton-Schulz is made of, by the system's BLAS, each as cheap as symmetry allows.
///
/// Matrices lie row by row. For X with `rows` rows and `columns` columns, the Gram matrix is of the shorter side: X Xᵀ of
/// a wide matrix, Xᵀ X of a tall one. Of a symmetric matrix the lower triangle is written, and is all that is read where
/// it says so.
package struct MatrixProducts {
    /// The number of rows of X.
    package let rows: Int
    /// The number of columns of X.
    package let columns: Int

    /// Products of matrices of a shape.
    package init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
    }

    /// The number of rows of the Gram matrix, and of its columns.
    package var gramSize: Int { min(rows, columns) }

    private var isTall: Bool { rows > columns }

    /// Writes the lower triangle of the Gram matrix of X.
    ///
    /// - Complexity: `gramSize` squared times the longer side.
    package func formGram(of x: UnsafePointer<Float>, into gram: UnsafeMutablePointer<Float>) {
        cblas_ssyrk(
            CblasRowMajor, CblasLower, isTall ? CblasTrans : CblasNoTrans, Int32(gramSize), Int32(max(rows, columns)),
            1, x, Int32(columns), 0, gram, Int32(gramSize))
    }

    /// Adds the lower triangle of `scale` * S² to that of M, where S is symmetric and whole.
    ///
    /// - Complexity: `gramSize` cubed.
    package func add(
        squareOf symmetric: UnsafePointer<Float>, times scale: Float, to matrix: UnsafeMutablePointer<Float>
    ) {
        let size = Int32(gramSize)
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, size, size, scale, symmetric, size, 1, matrix, size)
    }

    /// Writes `scale` * S X, or `scale` * X S of a tall X, where the lower triangle of S is read.
    ///
    /// - Complexity: Twice `gramSize` squared times the longer side.
    package func multiply(
        _ x: UnsafePointer<Float>, by symmetric: UnsafePointer<Float>, times scale: Float,
        into result: UnsafeMutablePointer<Float>
    ) {
        let columns = Int32(columns)
        cblas_ssymm(
            CblasRowMajor, isTall ? CblasRight : CblasLeft, CblasLower, Int32(rows), columns, scale, symmetric,
            Int32(gramSize), x, columns, 0, result, columns)
    }
}
