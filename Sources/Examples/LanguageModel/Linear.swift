package import Descent

/// A linear layer without a bias: y = x Wᵀ, W of shape [outputs, inputs].
package struct Linear {
    private let name: String
    private let weight: Matrix
    private let transposedWeight: Matrix

    /// The layer whose weight is the parameter of a name.
    package init(_ name: String, _ parameters: TensorSet) {
        self.name = name
        let shape = parameters.layout[parameters.layout.index(named: name) ?? 0].shape
        weight = Matrix(shape[0], shape[1], parameters[name])
        transposedWeight = weight.transposed()
    }

    /// Runs rows forward.
    package func forward(_ input: Matrix) -> Matrix { input.times(transposedWeight) }

    /// Runs a gradient backward: dW = dyᵀ x and dx = dy W.
    ///
    /// - Parameters:
    ///   - outputGradient: The gradient dy of the loss by what ``forward(_:)`` gave.
    ///   - input: What ``forward(_:)`` was given.
    ///   - gradients: Receives dW.
    /// - Returns: dx.
    package func backward(_ outputGradient: Matrix, input: Matrix, into gradients: inout TensorSet) -> Matrix {
        gradients[name] = outputGradient.transposedTimes(input).elements
        return outputGradient.times(weight)
    }
}
