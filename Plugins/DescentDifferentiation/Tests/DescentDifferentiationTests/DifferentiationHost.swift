import _Differentiation

// A model that Swift differentiates, with training of its own. It knows nothing of Descent.

struct HostLayer: Differentiable {
    var weight: [Float]
    var bias: [Float]
}

struct HostModel: Differentiable {
    var first = HostLayer(weight: HostModel.numbers(1, count: 6), bias: HostModel.numbers(2, count: 3))
    var second = HostLayer(weight: HostModel.numbers(3, count: 6), bias: HostModel.numbers(4, count: 2))
    var gain: Float = 1.5

    /// How far parameters are from numbers of the batch; losses are small, middling and large in turn.
    @differentiable(reverse)
    func loss(_ batch: Int, isSpoiled: Bool = false) -> Float {
        let scale: Float = [0.1, 0.5, 2.5][batch % 3]
        let ofFirst =
            squaredDistance(first.weight, Self.numbers(10 * batch + 5, count: 6))
            + squaredDistance(first.bias, Self.numbers(10 * batch + 6, count: 3))
        let ofSecond =
            squaredDistance(second.weight, Self.numbers(10 * batch + 7, count: 6))
            + squaredDistance(second.bias, isSpoiled ? [.nan, 0] : Self.numbers(10 * batch + 8, count: 2))
        return scale * (ofFirst + ofSecond + gain * gain)
    }

    /// Numbers between -1 and 1.
    static func numbers(_ seed: Int, count: Int) -> [Float] {
        var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int32(truncatingIfNeeded: state >> 32) >> 8) / 0x1p23
        }
    }
}

@differentiable(reverse,wrt: values)
func squaredDistance(_ values: [Float], _ targets: [Float]) -> Float {
    zip(values, targets).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
}

@derivative(of: squaredDistance, wrt: values)
func squaredDistanceWithPullback(
    _ values: [Float], _ targets: [Float]
) -> (value: Float, pullback: (Float) -> Array<Float>.TangentVector) {
    (squaredDistance(values, targets), { factor in .init(zip(values, targets).map { 2 * factor * ($0 - $1) }) })
}

/// The model's own training: the gradient clipped by its norm, and Adam.
struct HostAdam {
    let rate: Double
    private var updates = 0
    private var moments: [(first: [Float], second: [Float])] = []

    init(rate: Double) { self.rate = rate }

    mutating func update(_ model: inout HostModel, along gradient: HostModel.TangentVector, maximumNorm: Float) {
        var gradients = [
            gradient.first.weight.base, gradient.first.bias.base, gradient.second.weight.base,
            gradient.second.bias.base, [gradient.gain],
        ]
        let norm = gradients.joined().reduce(0) { $0 + $1 * $1 }.squareRoot()
        let factor = min(1, maximumNorm / (norm + 1e-6))
        for index in gradients.indices { gradients[index] = gradients[index].map { factor * $0 } }
        if moments.isEmpty { moments = gradients.map { ($0.map { _ in 0 }, $0.map { _ in 0 }) } }
        updates += 1
        update(&model.first.weight, 0, gradients[0])
        update(&model.first.bias, 1, gradients[1])
        update(&model.second.weight, 2, gradients[2])
        update(&model.second.bias, 3, gradients[3])
        var gain = [model.gain]
        update(&gain, 4, gradients[4])
        model.gain = gain[0]
    }

    private mutating func update(_ values: inout [Float], _ position: Int, _ gradient: [Float]) {
        var powers = (1.0, 1.0)
        for _ in 0..<updates { powers = (powers.0 * 0.9, powers.1 * 0.999) }
        let (length, root) = (Float(rate / (1 - powers.0)), Float((1 - powers.1).squareRoot()))
        for index in values.indices {
            let first = 0.9 * moments[position].first[index] + 0.1 * gradient[index]
            let second = 0.999 * moments[position].second[index] + 0.001 * gradient[index] * gradient[index]
            (moments[position].first[index], moments[position].second[index]) = (first, second)
            values[index] -= length * first / (second.squareRoot() / root + 1e-8)
        }
    }
}
