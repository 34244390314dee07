package import Descent

/// Divides each row by its root mean square: y_i = g_i x_i / r, with r = √(mean(x²) + 1e-5).
///
/// Zhang and Sennrich, "Root mean square layer normalization" (2019).
package struct RMSNorm {
    private let name: String
    private let gain: [Float]

    /// The norm whose gain g is the parameter of a name.
    package init(_ name: String, _ parameters: TensorSet) {
        self.name = name
        gain = parameters[name]
    }

    /// Runs rows forward.
    package func forward(_ input: Matrix) -> Matrix {
        var output = input
        output.elements.withUnsafeMutableBufferPointer { elements in
            for row in 0..<input.rowCount {
                let start = row * gain.count
                let inverse = inverseRoot(UnsafeBufferPointer(rebasing: elements[start..<start + gain.count]))
                for column in gain.indices { elements[start + column] *= gain[column] * inverse }
            }
        }
        return output
    }

    /// Runs a gradient backward.
    ///
    ///     dx_i = (g_i dy_i - x_i / r² · mean(g dy x)) / r        dg_i = sum over rows of dy_i x_i / r
    ///
    /// - Parameters:
    ///   - outputGradient: The gradient dy of the loss by what ``forward(_:)`` gave.
    ///   - input: What ``forward(_:)`` was given.
    ///   - gradients: Receives dg.
    /// - Returns: dx.
    package func backward(_ outputGradient: Matrix, input: Matrix, into gradients: inout TensorSet) -> Matrix {
        var inputGradient = outputGradient
        var gainGradient = [Float](repeating: 0, count: gain.count)
        let width = gain.count
        inputGradient.elements.withUnsafeMutableBufferPointer { gradient in
            input.elements.withUnsafeBufferPointer { input in
                for row in 0..<inputGradient.rowCount {
                    let x = UnsafeBufferPointer(rebasing: input[row * width..<(row + 1) * width])
                    let dy = UnsafeMutableBufferPointer(rebasing: gradient[row * width..<(row + 1) * width])
                    let inverse = inverseRoot(x)
                    var sum: Float = 0
                    for column in 0..<width { sum += gain[column] * dy[column] * x[column] }
                    let mean = sum / Float(width) * inverse * inverse
                    for column in 0..<width {
                        gainGradient[column] += dy[column] * x[column] * inverse
                        dy[column] = (gain[column] * dy[column] - x[column] * mean) * inverse
                    }
                }
            }
        }
        gradients[name] = gainGradient
        return inputGradient
    }

    /// 1 / r of a row.
    private func inverseRoot(_ row: UnsafeBufferPointer<Float>) -> Float {
        var sum: Float = 0
        for element in row { sum += element * element }
        return 1 / (sum / Float(row.count) + 1e-5).squareRoot()
    }
}
