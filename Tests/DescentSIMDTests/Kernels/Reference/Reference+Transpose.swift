import DescentCore

@testable import DescentSIMD

extension ReferenceKernels {
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
