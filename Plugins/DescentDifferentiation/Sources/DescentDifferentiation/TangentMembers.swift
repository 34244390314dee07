import DescentSIMD
import _Differentiation

/// The members of a tangent vector that hold numbers, by path: "layers.0.weight".
///
/// They are found at run time, to tell which of them nobody listed; an array of layers shows its layers only where the
/// tangent vector has any.
struct TangentMembers {
    /// The paths of members that could be listed as parameters.
    private(set) var trainable: [String] = []
    /// The paths of members that are numbers of another type, with the type.
    private(set) var others: [(path: String, type: String)] = []

    init(of tangent: some Any) { visit(tangent, "") }

    private mutating func visit(_ value: Any, _ path: String) {
        if value is Float || value is Array<Float>.DifferentiableView || value is TensorSet.TangentVector {
            trainable.append(path)
            return
        }
        if value is any Numeric || value is any SIMD {
            others.append((path, "\(type(of: value))"))
            return
        }
        for (index, child) in Mirror(reflecting: value).children.enumerated() {
            let name = child.label ?? "\(index)"
            visit(child.value, path.isEmpty ? name : "\(path).\(name)")
        }
    }
}
