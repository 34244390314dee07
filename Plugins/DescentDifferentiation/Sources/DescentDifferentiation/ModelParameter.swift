public import DescentCore
public import DescentSIMD
public import _Differentiation

/// One trained member of a differentiable model: where it lies in the model, and where its gradient lies.
///
/// A model and its tangent vector are two types with members of the same names, and Swift cannot get from a key path
/// into one to a key path into the other. So the path is written twice:
/// ```swift
/// ModelParameter(\.hidden.weight, \.hidden.weight, shape: [16, 2])
/// ```
/// The parameter is named after the path, `hidden.weight`. Names tell layers apart, appear in errors and reports, and
/// are what a saved state is found by. A path with a subscript in it has no name of its own, and needs one:
/// ```swift
/// ModelParameter(\.layers[i].weight, \.layers[orZero: i].weight, shape: [16, 2], named: "layers.\(i).weight")
/// ```
/// Arithmetic is float32, so there is nothing for `Double`.
public struct ModelParameter<Model: Differentiable>: Sendable {
    /// Where a parameter lies in the model and where in its tangent vector.
    enum Place: Sendable {
        case array(
            any WritableKeyPath<Model, [Float]> & Sendable,
            any KeyPath<Model.TangentVector, Array<Float>.DifferentiableView> & Sendable)
        case scalar(
            any WritableKeyPath<Model, Float> & Sendable, any KeyPath<Model.TangentVector, Float> & Sendable)
        case tensors(
            any WritableKeyPath<Model, TensorSet> & Sendable,
            any KeyPath<Model.TangentVector, TensorSet.TangentVector> & Sendable)
    }

    let place: Place
    let name: String?
    let shape: [Int]?
    let outputAxis: OutputAxis

    /// An array of floats: the elements of a tensor in row-major order.
    ///
    /// - Parameters:
    ///   - path: Where the array lies in the model.
    ///   - tangentPath: Where its gradient lies in the model's tangent vector.
    ///   - shape: The extents of the tensor; nil stands for a vector of as many elements as the array has. Stages that
    ///     work row by row, such as `Centralize`, need it.
    ///   - outputAxis: Which dimension is the output unit.
    ///   - name: The parameter's name; nil takes the path.
    public init(
        _ path: any WritableKeyPath<Model, [Float]> & Sendable,
        _ tangentPath: any KeyPath<Model.TangentVector, Array<Float>.DifferentiableView> & Sendable,
        shape: [Int]? = nil, outputAxis: OutputAxis = .first, named name: String? = nil
    ) {
        place = .array(path, tangentPath)
        self.name = name ?? path.memberNames
        self.shape = shape
        self.outputAxis = outputAxis
    }

    /// One float: a tensor of rank 0.
    ///
    /// - Parameters:
    ///   - path: Where the number lies in the model.
    ///   - tangentPath: Where its gradient lies in the model's tangent vector.
    ///   - name: The parameter's name; nil takes the path.
    public init(
        _ path: any WritableKeyPath<Model, Float> & Sendable,
        _ tangentPath: any KeyPath<Model.TangentVector, Float> & Sendable, named name: String? = nil
    ) {
        place = .scalar(path, tangentPath)
        self.name = name ?? path.memberNames
        shape = []
        outputAxis = .first
    }

    /// All tensors of a set: a parameter each, with the names and shapes that they have in the set.
    ///
    /// - Parameters:
    ///   - path: Where the set lies in the model; its elements have to be float32.
    ///   - tangentPath: Where its gradient lies in the model's tangent vector.
    public init(
        _ path: any WritableKeyPath<Model, TensorSet> & Sendable,
        _ tangentPath: any KeyPath<Model.TangentVector, TensorSet.TangentVector> & Sendable
    ) {
        place = .tensors(path, tangentPath)
        name = nil
        shape = nil
        outputAxis = .first
    }
}
