package import Descent

/// What a model keeps its activations and gradients in; products are summed in float32 in any case.
package enum Precision: Sendable {
    case float32
    case float16

    /// The same as an element type of tensors.
    package var elementType: ElementType {
        switch self {
        case .float32: .float32
        case .float16: .float16
        }
    }

    /// A matrix whose elements are rounded to what this precision can hold.
    func rounding(_ matrix: Matrix) -> Matrix {
        switch self {
        case .float32: matrix
        case .float16: matrix.mapped { Float(Binary16($0)) }
        }
    }
}
