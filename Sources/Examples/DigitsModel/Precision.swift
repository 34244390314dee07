import Descent

/// What a backward pass stores its gradients in.
public enum Precision: Sendable {
    case float32
    case float16

    /// Numbers as this precision holds them.
    func rounding(_ numbers: [Float]) -> [Float] {
        switch self {
        case .float32: numbers
        case .float16: numbers.map { Float(Binary16($0)) }
        }
    }

    /// A matrix as this precision holds it.
    func rounding(_ matrix: Matrix) -> Matrix {
        Matrix(matrix.rowCount, matrix.columnCount, rounding(matrix.elements))
    }
}
