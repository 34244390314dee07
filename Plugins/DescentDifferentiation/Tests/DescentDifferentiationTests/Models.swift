import Descent
import DescentDifferentiation
import _Differentiation

/// A layer with a weight of three rows of two.
struct Layer: Differentiable {
    var weight: [Float] = [0.5, -0.25, 1, 2, -1, 0.125]
    var bias: [Float] = [0, 1, -1]
    @noDerivative var name = "layer"

    /// The sum of squares of all elements: the gradient is twice the layer.
    @differentiable(reverse)
    func energy() -> Float { sumOfSquares(weight) + sumOfSquares(bias) }
}

/// A model with parameters in a layer, in the layers of an array, and alone.
struct Model: Differentiable {
    var first = Layer()
    var rest = [Layer(), Layer()]
    var gain: Float = 3

    @differentiable(reverse)
    func energy() -> Float { first.energy() + rest[0].energy() + rest[1].energy() + gain * gain }

    /// What depends on the first layer's bias alone.
    @differentiable(reverse)
    func energyOfBias() -> Float { sumOfSquares(first.bias) }
}

@differentiable(reverse)
func sumOfSquares(_ values: [Float]) -> Float { values.reduce(0) { $0 + $1 * $1 } }

@derivative(of: sumOfSquares)
func sumOfSquaresWithPullback(
    _ values: [Float]
) -> (value: Float, pullback: (Float) -> Array<Float>.TangentVector) {
    (sumOfSquares(values), { factor in .init(values.map { 2 * factor * $0 }) })
}

extension Model {
    /// All that is trained, in the order of ``numbers``.
    static var parameters: [ModelParameter<Model>] {
        [
            ModelParameter(\.first.weight, \.first.weight, shape: [3, 2]),
            ModelParameter(\.first.bias, \.first.bias),
        ] + (0..<2).flatMap(layer) + [ModelParameter(\.gain, \.gain)]
    }

    private static func layer(_ index: Int) -> [ModelParameter<Model>] {
        [
            ModelParameter(
                \.rest[index].weight, \.rest[orZero: index].weight, shape: [3, 2], named: "rest.\(index).weight"),
            ModelParameter(\.rest[index].bias, \.rest[orZero: index].bias, named: "rest.\(index).bias"),
        ]
    }

    /// The elements of all parameters.
    var numbers: [[Float]] { ([first] + rest).flatMap { [$0.weight, $0.bias] } + [[gain]] }

    /// The bits of all parameters.
    var bits: [UInt32] { numbers.joined().map(\.bitPattern) }
}

/// The elements of all gradients, in the order of ``Model/numbers``.
func numbers(_ gradient: Model.TangentVector) -> [[Float]] {
    ([gradient.first] + gradient.rest.base).flatMap { [$0.weight.base, $0.bias.base] } + [[gradient.gain]]
}

extension TensorSet {
    /// Puts arrays in the place of all elements, in the order of the layout.
    init(_ arrays: [[Float]], layout: ParameterLayout) {
        self.init(zeros: layout)
        for (parameter, values) in zip(layout, arrays) { self[parameter.name] = values }
    }

    /// The bits of all elements.
    var bits: [UInt32] { layout.flatMap { self[$0.name].map(\.bitPattern) } }
}
