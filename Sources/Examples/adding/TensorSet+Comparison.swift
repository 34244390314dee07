import Descent

extension TensorSet {
    /// The L2 norm of all elements.
    var norm: Double {
        layout.reduce(0) { sum, parameter in
            withElements(of: parameter.name) { elements in
                elements.indices.reduce(sum) { $0 + Double(elements[$1]) * Double(elements[$1]) }
            }
        }.squareRoot()
    }

    /// The bits of all elements; unlike a copy of the set, it shares no memory with it.
    var bits: [UInt32] { layout.flatMap { self[$0.name].map(\.bitPattern) } }

    /// The largest distance of an element from the one in another set of the same layout.
    func largestDifference(from other: TensorSet) -> Float {
        layout.map { largestDifference(of: $0.name, from: other) }.max() ?? 0
    }

    /// The largest distance of an element of one tensor from the one in another set of the same layout.
    func largestDifference(of name: String, from other: TensorSet) -> Float {
        withElements(of: name) { own in
            other.withElements(of: name) { other in
                own.indices.reduce(0) { max($0, (own[$1] - other[$1]).magnitude) }
            }
        }
    }
}
