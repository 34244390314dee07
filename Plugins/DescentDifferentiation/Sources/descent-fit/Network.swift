import _Differentiation

/// Two layers with a rectifier between them, and a factor for the result.
struct Network: Differentiable {
    var hidden = Dense(inputs: 2, outputs: 16)
    var output = Dense(inputs: 16, outputs: 1)
    var gain: Float = 1

    @differentiable(reverse)
    func callAsFunction(_ x: Float, _ y: Float) -> Float {
        output(hidden([x, y]).differentiableMap { $0 > 0 ? $0 : 0 })[0] * gain
    }

    /// The mean squared error of a network that is to multiply two numbers from -1 to 1.
    @differentiable(reverse)
    func error() -> Float {
        var sum: Float = 0
        for row in 0..<9 {
            for column in 0..<9 {
                let (x, y) = (Float(row - 4) / 4, Float(column - 4) / 4)
                let difference = self(x, y) - x * y
                sum += difference * difference
            }
        }
        return sum / 81
    }
}
