package import Descent
@_exported public import SeededNumbers

extension TensorSet {
    /// Tensors whose elements are all the same.
    package init(filling layout: ParameterLayout, with value: Float) {
        self.init(zeros: layout)
        for parameter in layout { self[parameter.name] = [Float](repeating: value, count: parameter.count) }
    }

    /// Tensors with normal elements from a seed.
    package static func random(_ layout: ParameterLayout, seed: UInt64, scale: Float = 1) -> TensorSet {
        var generator = SeededGenerator(seed: seed)
        var tensors = TensorSet(zeros: layout)
        for parameter in layout {
            tensors[parameter.name] = (0..<parameter.count).map { _ in generator.normal() * scale }
        }
        return tensors
    }

    /// The same with about every fourth element a zero, of either sign, as pruning leaves them.
    package func pruned(seed: UInt64) -> TensorSet {
        var generator = SeededGenerator(seed: seed)
        var tensors = self
        for parameter in layout {
            tensors[parameter.name] = self[parameter.name].map {
                Int.random(in: 0..<4, using: &generator) > 0 ? $0 : Bool.random(using: &generator) ? 0 : -0.0
            }
        }
        return tensors
    }

    /// The elements of all tensors, in order.
    package var arrays: [[Float]] { layout.map { self[$0.name] } }

    /// The bits of all elements.
    package var bits: [UInt32] { arrays.flatMap { $0.map(\.bitPattern) } }
}

extension PlainTensors {
    package init(_ tensors: TensorSet) { self.init(tensors.layout, tensors.arrays, elementType: tensors.elementType) }
}

/// A layout of shapes, named `layer0.weight`, `layer0.bias`, `layer1.weight`, and so on.
package func makeLayout(_ shapes: [[Int]]) throws -> ParameterLayout {
    try ParameterLayout(
        shapes.enumerated().map { index, shape in
            try ParameterDescription("layer\(index / 2).\(index % 2 == 0 ? "weight" : "bias")", shape: shape)
        })
}
