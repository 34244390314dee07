package import Descent

/// The part of a layer that works on each token alone: y = x + W₂ a(W₁ norm(x)), with a(h) = max(h, 0)².
///
/// The squared ReLU is that of So et al., "Primer: searching for efficient transformers for language modeling" (2021).
package struct FeedForward {
    private let norm: RMSNorm
    private let input: Linear
    private let output: Linear

    /// The part whose parameters' names begin with a name.
    package init(_ name: String, _ parameters: TensorSet) {
        norm = RMSNorm(name + ".norm", parameters)
        input = Linear(name + ".input", parameters)
        output = Linear(name + ".output", parameters)
    }

    /// What the backward pass needs of a forward pass.
    package struct Activations {
        fileprivate let input: StoredMatrix
        fileprivate let hidden: StoredMatrix

        /// How many bytes they take.
        var byteCount: Int { input.byteCount + hidden.byteCount }
    }

    /// Runs tokens forward.
    package func forward(_ x: Matrix, _ precision: Precision) -> (Matrix, Activations) {
        let activations = Activations(
            input: StoredMatrix(x, precision),
            hidden: StoredMatrix(input.forward(precision.rounding(norm.forward(x))), precision))
        let hidden = activations.hidden.matrix
        let y = x + output.forward(precision.rounding(hidden.mapped(squaredReLU)))
        return (precision.rounding(y), activations)
    }

    /// Runs a gradient backward: da/dh = 2 max(h, 0).
    package func backward(
        _ outputGradient: Matrix, _ activations: Activations, _ precision: Precision, into gradients: inout TensorSet
    ) -> Matrix {
        let (x, hidden) = (activations.input.matrix, activations.hidden.matrix)
        let active = precision.rounding(hidden.mapped(squaredReLU))
        let activeGradient = output.backward(outputGradient, input: active, into: &gradients)
        let hiddenGradient = precision.rounding(activeGradient.combined(with: hidden) { 2 * $0 * ($1 > 0 ? $1 : 0) })
        let normalized = precision.rounding(norm.forward(x))
        let normalizedGradient = precision.rounding(
            input.backward(hiddenGradient, input: normalized, into: &gradients))
        let inputGradient = norm.backward(normalizedGradient, input: x, into: &gradients)
        return precision.rounding(outputGradient + inputGradient)
    }
}

/// max(h, 0)².
@inline(__always)
private func squaredReLU(_ h: Float) -> Float {
    let positive = h > 0 ? h : 0
    return positive * positive
}
