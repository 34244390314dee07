import _Differentiation

/// A layer: weight times input plus bias.
struct Dense: Differentiable {
    /// A row for each output.
    var weight: [Float]
    /// A number for each output.
    var bias: [Float]

    /// A layer that starts with numbers without a pattern, from -1 to 1, the same in every run.
    init(inputs: Int, outputs: Int) {
        weight = (1...outputs * inputs).map { Float($0 * $0 * 37 % 101) / 50 - 1 }
        bias = [Float](repeating: 0, count: outputs)
    }

    @differentiable(reverse)
    func callAsFunction(_ input: [Float]) -> [Float] { affine(input, weight, bias) }
}

/// The product of a matrix, given by rows, with the input, plus the bias.
@differentiable(reverse)
func affine(_ input: [Float], _ weight: [Float], _ bias: [Float]) -> [Float] {
    bias.indices.map { row in
        input.indices.reduce(bias[row]) { $0 + weight[row * input.count + $1] * input[$1] }
    }
}

@derivative(of: affine)
func affineWithPullback(
    _ input: [Float], _ weight: [Float], _ bias: [Float]
) -> (
    value: [Float],
    pullback: (Array<Float>.TangentVector) -> (
        Array<Float>.TangentVector, Array<Float>.TangentVector, Array<Float>.TangentVector
    )
) {
    func pullback(
        _ output: Array<Float>.TangentVector
    ) -> (Array<Float>.TangentVector, Array<Float>.TangentVector, Array<Float>.TangentVector) {
        var inputGradient = [Float](repeating: 0, count: input.count)
        var weightGradient = [Float](repeating: 0, count: weight.count)
        for row in output.base.indices {
            for column in input.indices {
                inputGradient[column] += output.base[row] * weight[row * input.count + column]
                weightGradient[row * input.count + column] = output.base[row] * input[column]
            }
        }
        return (.init(inputGradient), .init(weightGradient), output)
    }
    return (affine(input, weight, bias), pullback)
}
