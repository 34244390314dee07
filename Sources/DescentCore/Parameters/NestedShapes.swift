/// The shapes of a model's parameters as a host nests them: parameters in layers, layers in larger ones.
///
/// As a literal it reads like the model, a dictionary for each level and integers for a shape:
/// ```swift
/// let shapes: NestedShapes = ["encoder": ["weight": [64, 32], "bias": [64]], "scale": []]
/// ```
/// A host's own tree becomes one by a function that calls itself, here that of mlx-swift:
/// ```swift
/// func shapes(_ item: NestedItem<String, MLXArray>) -> NestedShapes {
///     switch item {
///     case .value(let array): .shape(array.shape)
///     case .dictionary(let items): .dictionary(items.mapValues(shapes))
///     case .array(let items): .list(items.map(shapes))
///     case .none: .list([])
///     }
/// }
/// ```
public enum NestedShapes: Sendable, Hashable {
    /// One parameter, by its extents; empty for a scalar.
    case shape([Int])
    /// What has names of its own; none of them is empty.
    case dictionary([String: NestedShapes])
    /// What is counted from 0, such as the layers of a model.
    case list([NestedShapes])

    /// The parameters with their names, sorted.
    ///
    /// A name is made of the keys on the way to the parameter, and of positions in lists, joined by dots:
    /// `layers.0.weight`. Parameters come in the order of their names, part by part, numbers by their size:
    /// `layers.9.weight` before `layers.10.weight`. It is the same in every run. What holds no parameter leaves nothing.
    ///
    /// - Returns: Names and shapes.
    /// - Throws: ``DescentError`` with code `invalidName` where a key is empty.
    /// - Complexity: O(n log n) in the number of parameters.
    public func flattened() throws(DescentError) -> [(name: String, shape: [Int])] {
        var leaves: [Leaf] = []
        addLeaves(to: &leaves, below: nil, hasEmptyKey: false)
        leaves.sort { NameOrder.precedes($0.name, $1.name) }
        if let leaf = leaves.first(where: \.hasEmptyKey) {
            throw DescentError(
                .invalidName, parameter: leaf.name,
                "A key on the way to the parameter \(leaf.name.quotedBriefly) of shape \(leaf.shape) is empty; give it a name."
            )
        }
        return leaves.map { ($0.name, $0.shape) }
    }

    private struct Leaf {
        let name: String
        let shape: [Int]
        /// Whether a key is empty; one of them at most is named in an error, the same in every run.
        let hasEmptyKey: Bool
    }

    private func addLeaves(to leaves: inout [Leaf], below path: String?, hasEmptyKey: Bool) {
        switch self {
        case .shape(let shape):
            leaves.append(Leaf(name: path ?? "", shape: shape, hasEmptyKey: hasEmptyKey))
        case .dictionary(let items):
            for (key, item) in items {
                item.addLeaves(
                    to: &leaves, below: path.map { "\($0).\(key)" } ?? key, hasEmptyKey: hasEmptyKey || key.isEmpty)
            }
        case .list(let items):
            for (position, item) in items.enumerated() {
                item.addLeaves(
                    to: &leaves, below: path.map { "\($0).\(position)" } ?? "\(position)", hasEmptyKey: hasEmptyKey)
            }
        }
    }
}

extension NestedShapes: ExpressibleByArrayLiteral {
    /// A parameter, by its extents.
    public init(arrayLiteral extents: Int...) { self = .shape(extents) }
}

extension NestedShapes: ExpressibleByDictionaryLiteral {
    /// What has names of its own.
    ///
    /// - Precondition: No key is there twice, as with any dictionary.
    public init(dictionaryLiteral items: (String, NestedShapes)...) {
        self = .dictionary(Dictionary(uniqueKeysWithValues: items))
    }
}
