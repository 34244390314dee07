public import DescentCore

/// A named, ordered set of float tensors in 64-byte-aligned memory.
///
/// A set is a value: copies share memory until one of them is changed. Elements lie in row-major order.
/// ```swift
/// var parameters = try TensorSet([
///     ParameterDescription("fc.weight", shape: [10, 64]),
///     ParameterDescription("fc.bias", shape: [10]),
/// ])
/// parameters.withMutableElements(of: "fc.bias") { bias in bias[0] = 1 }
/// ```
public struct TensorSet: TensorStorage {
    /// The names and shapes.
    public let layout: ParameterLayout
    private var memory: AlignedMemory

    /// Tensors of a layout, filled with zeros.
    public init(zeros layout: ParameterLayout) {
        self.layout = layout
        memory = AlignedMemory(layout)
    }

    /// Tensors of the given names and shapes, filled with zeros.
    ///
    /// - Throws: ``DescentCore/DescentError`` if two parameters share a name.
    public init(_ parameters: [ParameterDescription]) throws(DescentError) {
        self.init(zeros: try ParameterLayout(parameters))
    }

    /// Tensors of a layout with given elements.
    ///
    /// - Parameters:
    ///   - values: The elements of each tensor in row-major order, by name.
    ///   - layout: The names, shapes and order.
    /// - Throws: ``DescentCore/DescentError`` that names the tensor that is missing, too many or of another size.
    public init(_ values: [String: [Float]], layout: ParameterLayout) throws(DescentError) {
        self.init(zeros: layout)
        for name in values.keys.sorted() where layout.index(named: name) == nil {
            throw DescentError(
                .unexpectedParameter, parameter: name, "\"\(name)\" has values but is not in the layout.")
        }
        for (index, parameter) in layout.enumerated() {
            guard let elements = values[parameter.name] else {
                throw DescentError(
                    .missingParameter, parameter: parameter.name, "There are no values for \"\(parameter.name)\".")
            }
            try requireCount(elements.count, parameter)
            for (offset, element) in elements.enumerated() { memory.bases[index][offset] = element }
        }
    }

    private init(layout: ParameterLayout, memory: AlignedMemory) {
        self.layout = layout
        self.memory = memory
    }

    /// The number of tensors.
    public var count: Int { layout.count }

    /// Where each tensor starts.
    var bases: UnsafePointer<UnsafeMutablePointer<Float>> { UnsafePointer(memory.bases) }

    public mutating func makeUnique() {
        if memory.isOwned, !isKnownUniquelyReferenced(&memory) { memory = memory.copy(layout) }
    }

    /// Gives the elements of a tensor to read, row by row.
    ///
    /// - Precondition: There is a tensor with that name.
    public func withElements<Result>(of name: String, _ body: (Span<Float>) throws -> Result) rethrows -> Result {
        let index = position(of: name)
        return try body(UnsafeBufferPointer(start: memory.bases[index], count: layout[index].count).span)
    }

    /// Gives the elements of a tensor to change, row by row.
    ///
    /// - Precondition: There is a tensor with that name.
    public mutating func withMutableElements<Result>(
        of name: String, _ body: (inout MutableSpan<Float>) throws -> Result
    ) rethrows -> Result {
        makeUnique()
        let index = position(of: name)
        let buffer = UnsafeMutableBufferPointer(start: memory.bases[index], count: layout[index].count)
        var span = buffer.mutableSpan
        return try body(&span)
    }

    /// The elements of a tensor as an array.
    ///
    /// - Precondition: There is a tensor with that name.
    public subscript(name: String) -> [Float] {
        get {
            let index = position(of: name)
            return Array(UnsafeBufferPointer(start: memory.bases[index], count: layout[index].count))
        }
        set {
            let index = position(of: name)
            precondition(
                newValue.count == layout[index].count,
                "\(newValue.count) values for \"\(name)\", which has \(layout[index].count) elements.")
            makeUnique()
            for (offset, value) in newValue.enumerated() { memory.bases[index][offset] = value }
        }
    }

    private func position(of name: String) -> Int {
        guard let index = layout.index(named: name) else {
            preconditionFailure("There is no tensor named \"\(name)\".")
        }
        return index
    }

    private func requireCount(_ count: Int, _ parameter: ParameterDescription) throws(DescentError) {
        guard count == parameter.count else {
            throw DescentError(
                .shapeMismatch, parameter: parameter.name,
                "\"\(parameter.name)\" got \(count) elements; its shape \(parameter.shape) has \(parameter.count).")
        }
    }
}

extension TensorSet {
    /// Runs a body with a set of tensors that lie in memory of somebody else's, without a copy.
    ///
    /// What the body changes is changed there. The set must not be used after the body returns.
    ///
    /// - Parameters:
    ///   - tensors: The tensors, in any order.
    ///   - layout: The names, shapes and order that they have to have.
    ///   - body: What to do with the set.
    /// - Returns: What the body returns.
    /// - Throws: ``DescentCore/DescentError`` that names the tensor that is missing, too many, there twice or of
    ///   another size; or what the body throws.
    /// - Complexity: O(n) in the number of tensors.
    public static func withUnsafeTensors<Result>(
        _ tensors: [UnsafeTensor], layout: ParameterLayout,
        _ body: (inout TensorSet) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        var found = [UnsafeMutablePointer<Float>?](repeating: nil, count: layout.count)
        var isFound = [Bool](repeating: false, count: layout.count)
        for tensor in tensors {
            guard let index = layout.index(named: tensor.name) else {
                throw DescentError(
                    .unexpectedParameter, parameter: tensor.name,
                    "There is a tensor named \"\(tensor.name)\", which the pipeline was not built for.")
            }
            guard !isFound[index] else {
                throw DescentError(
                    .duplicateParameter, parameter: tensor.name, "The tensor \"\(tensor.name)\" was handed over twice.")
            }
            let expected = layout[index]
            guard tensor.elements.count == expected.count, tensor.shape ?? expected.shape == expected.shape else {
                throw DescentError(
                    .shapeMismatch, parameter: tensor.name,
                    "\"\(tensor.name)\" has \(tensor.elements.count) elements"
                        + (tensor.shape.map { " in shape \($0)" } ?? "")
                        + "; the pipeline was built for \(expected.shape).")
            }
            isFound[index] = true
            found[index] = tensor.elements.baseAddress
        }
        for (index, parameter) in layout.enumerated() where !isFound[index] {
            throw DescentError(
                .missingParameter, parameter: parameter.name, "There is no tensor named \"\(parameter.name)\".")
        }
        var set = TensorSet(layout: layout, memory: AlignedMemory(borrowing: found))
        return try body(&set)
    }
}

/// A tensor that lies in memory of somebody else's.
public struct UnsafeTensor {
    /// The parameter's name.
    public let name: String
    /// Its shape, to have it checked; nil checks the number of elements alone.
    public let shape: [Int]?
    /// Its elements in row-major order, aligned as floats are.
    public let elements: UnsafeMutableBufferPointer<Float>

    /// Describes a tensor.
    public init(_ name: String, shape: [Int]? = nil, _ elements: UnsafeMutableBufferPointer<Float>) {
        self.name = name
        self.shape = shape
        self.elements = elements
    }
}
