import Descent

/// A matrix as it is kept from the forward pass to the backward pass, of 2 or 4 bytes an element.
struct StoredMatrix: Sendable {
    private enum Elements: Sendable {
        case float32([Float])
        /// Bit patterns of IEEE 754's binary16.
        case float16([UInt16])
    }

    private let elements: Elements
    private let rowCount: Int
    private let columnCount: Int

    /// Keeps a matrix, rounded to a precision.
    init(_ matrix: Matrix, _ precision: Precision) {
        (rowCount, columnCount) = (matrix.rowCount, matrix.columnCount)
        elements =
            switch precision {
            case .float32: .float32(matrix.elements)
            case .float16: .float16(matrix.elements.mapped { Binary16($0).bitPattern })
            }
    }

    /// The matrix, as it was rounded.
    var matrix: Matrix {
        switch elements {
        case .float32(let elements): Matrix(rowCount, columnCount, elements)
        case .float16(let elements): Matrix(rowCount, columnCount, elements.mapped { Float(Binary16(bitPattern: $0)) })
        }
    }

    /// How many bytes its elements take.
    var byteCount: Int {
        switch elements {
        case .float32(let elements): elements.count * MemoryLayout<Float>.stride
        case .float16(let elements): elements.count * MemoryLayout<UInt16>.stride
        }
    }
}
