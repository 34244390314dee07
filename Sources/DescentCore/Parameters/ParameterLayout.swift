/// The ordered list of parameters that a pipeline is built for.
///
/// A layout is an immutable value whose copies share their contents, so that comparing a set of tensors with the
/// layout it was made from costs one comparison of addresses.
public struct ParameterLayout: Sendable, Equatable, RandomAccessCollection {
    private final class Contents: Sendable {
        let parameters: [ParameterDescription]
        let indices: [String: Int]
        let tied: [String: String]

        init(parameters: [ParameterDescription], indices: [String: Int], tied: [String: String] = [:]) {
            self.parameters = parameters
            self.indices = indices
            self.tied = tied
        }
    }

    private let contents: Contents
    /// The number of elements of all parameters together.
    public let elementCount: Int

    /// A layout without parameters.
    public static let empty = ParameterLayout()

    private init() {
        contents = Contents(parameters: [], indices: [:])
        elementCount = 0
    }

    /// Makes a layout of parameters in the given order.
    ///
    /// - Throws: ``DescentError`` with code `duplicateParameter` when two parameters share a name, or `invalidShape`
    ///   when all elements together are more than ``ParameterDescription/maximumElementCount``.
    public init(_ parameters: [ParameterDescription]) throws(DescentError) {
        var indices: [String: Int] = [:]
        var elementCount = 0
        for (index, parameter) in parameters.enumerated() {
            guard indices.updateValue(index, forKey: parameter.name) == nil else {
                throw DescentError(
                    .duplicateParameter, parameter: parameter.name,
                    "Two parameters are named \(parameter.name.quotedBriefly); names tell parameters apart, so give each its own."
                )
            }
            elementCount += parameter.count
            guard elementCount <= ParameterDescription.maximumElementCount else {
                throw DescentError(
                    .invalidShape, parameter: parameter.name,
                    "With \(parameter.name.quotedBriefly) the parameters have more elements than memory can hold.")
            }
        }
        self.contents = Contents(parameters: parameters, indices: indices)
        self.elementCount = elementCount
    }

    /// The same parameters, some of which have other names beside their own.
    init(_ parameters: [ParameterDescription], tied: [String: String]) throws(DescentError) {
        let layout = try ParameterLayout(parameters)
        contents = Contents(parameters: parameters, indices: layout.contents.indices, tied: tied)
        elementCount = layout.elementCount
    }

    /// The other names that parameters have, and the name that each is listed under; see ``tying(_:)``.
    public var tied: [String: String] { contents.tied }

    /// The position of the first parameter, 0.
    public var startIndex: Int { 0 }
    /// The number of parameters.
    public var endIndex: Int { contents.parameters.count }
    /// The parameter at a position.
    public subscript(position: Int) -> ParameterDescription { contents.parameters[position] }

    /// The position of the parameter with a name, or nil.
    ///
    /// - Complexity: O(1).
    public func index(named name: String) -> Int? { contents.indices[name] }

    /// The end of a sentence that says that no parameter is called so: asks for the nearest name that one has.
    package func hint(for name: String) -> String { name.hint(among: map(\.name) + tied.keys.sorted()) }

    /// Whether two layouts have the same parameters in the same order.
    ///
    /// - Complexity: O(1) where the two were made as one, otherwise O(n) in the number of parameters.
    public static func == (first: ParameterLayout, second: ParameterLayout) -> Bool {
        first.contents === second.contents || first.contents.parameters == second.contents.parameters
    }

    /// Refuses a layout that is not this one, naming the first parameter that differs.
    ///
    /// - Parameters:
    ///   - other: The layout of what a caller handed over.
    ///   - role: What it was handed over as, for the message: "gradients", "parameters".
    /// - Throws: ``DescentError`` with code `missingParameter`, `unexpectedParameter`, `shapeMismatch` or
    ///   `orderMismatch`.
    /// - Complexity: O(1) where the two were made as one, otherwise O(n) in the number of parameters.
    public func requireMatch(of other: ParameterLayout, as role: String) throws(DescentError) {
        if contents === other.contents { return }
        for expected in contents.parameters {
            guard let index = other.index(named: expected.name) else {
                let others = other.lazy.map(\.name).filter { self.index(named: $0) == nil }
                let hint = expected.name.nearest(among: others).map { "; they have \($0.quotedBriefly)" } ?? ""
                throw DescentError(
                    .missingParameter, parameter: expected.name,
                    "The \(role) have no tensor named \(expected.name.quotedBriefly) (shape \(expected.shape))\(hint).")
            }
            let found = other[index]
            guard found.shape == expected.shape, found.outputAxis == expected.outputAxis else {
                throw DescentError(
                    .shapeMismatch, parameter: expected.name,
                    "The \(role) hold \(expected.name.quotedBriefly) with shape \(found.shape), output \(found.outputAxis); "
                        + "the pipeline was built for \(expected.shape), output \(expected.outputAxis).")
            }
        }
        for found in other where index(named: found.name) == nil {
            throw DescentError(
                .unexpectedParameter, parameter: found.name,
                "The \(role) hold \(found.name.quotedBriefly) (shape \(found.shape)), which the pipeline was not built for."
            )
        }
        for (expected, found) in zip(contents.parameters, other.contents.parameters) where expected.name != found.name {
            throw DescentError(
                .orderMismatch, parameter: found.name,
                "The \(role) hold \(found.name.quotedBriefly) where \(expected.name.quotedBriefly) comes in the pipeline's "
                    + "order. Make them with the layout that the pipeline was built for: `layout: parameters.layout`.")
        }
    }
}
