public import DescentCore

extension TensorSet {
    /// Runs a body with a set of tensors that lie in external memory, without a copy.
    ///
    /// What the body changes is changed there. The set must not be used after the body returns.
    ///
    /// - Parameters:
    ///   - tensors: The tensors, in any order.
    ///   - layout: The names, shapes and order that they have to have.
    ///   - body: What to do with the set.
    /// - Returns: What the body returns.
    /// - Throws: `DescentError` that names the tensor that is missing, too many, there twice or of
    ///   another size; or what the body throws.
    /// - Complexity: O(n) in the number of tensors.
    public static func withUnsafeTensors<Result>(
        _ tensors: [UnsafeTensor], layout: ParameterLayout,
        _ body: (inout TensorSet) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        var found = [UnsafeMutableRawPointer?](repeating: nil, count: layout.count)
        var isFound = [Bool](repeating: false, count: layout.count)
        let elementType = tensors.first?.elementType ?? .float32
        for tensor in tensors {
            guard let index = layout.index(named: tensor.name) else {
                throw DescentError(
                    .unexpectedParameter, parameter: tensor.name,
                    "There is a tensor named \(tensor.name.quotedBriefly), which the pipeline was not built for.")
            }
            guard !isFound[index] else {
                throw DescentError(
                    .duplicateParameter, parameter: tensor.name,
                    "The tensor \(tensor.name.quotedBriefly) was handed over twice.")
            }
            let expected = layout[index]
            guard tensor.elementType == elementType else {
                throw DescentError(
                    .elementTypeMismatch, parameter: tensor.name,
                    "\(tensor.name.quotedBriefly) is \(tensor.elementType), but the tensors before it are \(elementType)."
                )
            }
            guard tensor.count == expected.count, tensor.shape ?? expected.shape == expected.shape else {
                throw DescentError(
                    .shapeMismatch, parameter: tensor.name,
                    "\(tensor.name.quotedBriefly) has \(tensor.count) elements"
                        + (tensor.shape.map { " in shape \($0)" } ?? "")
                        + "; the pipeline was built for \(expected.shape).")
            }
            isFound[index] = true
            found[index] = tensor.address
        }
        for (index, parameter) in layout.enumerated() where !isFound[index] {
            throw DescentError(
                .missingParameter, parameter: parameter.name,
                "There is no tensor named \(parameter.name.quotedBriefly).")
        }
        var set = TensorSet(layout: layout, memory: AlignedMemory(borrowing: found, elementType))
        return try body(&set)
    }

    /// Lends the memory of all tensors to a body, to read and to change, in the order of the layout.
    ///
    /// The memory must not be used after the body returns.
    ///
    /// - Returns: What the body returns.
    /// - Throws: What the body throws.
    /// - Complexity: O(n) in the number of tensors; also copies the elements if another value shares them.
    public mutating func withUnsafeTensors<Result>(
        _ body: ([UnsafeTensor]) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        makeUnique()
        return try body(
            layout.enumerated().map { index, parameter in
                UnsafeTensor(parameter, elementType, address: bases[index])
            })
    }

    /// A set in which one tensor is borrowed and the others must not be touched, and that tensor's position.
    static func borrowing(
        _ tensor: UnsafeTensor, layout: ParameterLayout
    ) throws(DescentError) -> (tensors: TensorSet, position: Int) {
        guard let index = layout.index(named: tensor.name) else {
            throw DescentError(
                .unexpectedParameter, parameter: tensor.name,
                "There is no parameter named \(tensor.name.quotedBriefly) to receive a gradient for.")
        }
        let expected = layout[index]
        guard tensor.count == expected.count, tensor.shape ?? expected.shape == expected.shape else {
            throw DescentError(
                .shapeMismatch, parameter: tensor.name,
                "The gradient of \(tensor.name.quotedBriefly) has \(tensor.count) elements; the pipeline was built for "
                    + "\(expected.shape).")
        }
        var addresses = [UnsafeMutableRawPointer?](repeating: nil, count: layout.count)
        addresses[index] = tensor.address
        return (TensorSet(layout: layout, memory: AlignedMemory(borrowing: addresses, tensor.elementType)), index)
    }
}

/// A tensor that lies in external memory.
public struct UnsafeTensor {
    /// The parameter's name.
    public let name: String
    /// Its shape, to have it checked; nil checks the number of elements alone.
    public let shape: [Int]?
    /// How its elements are stored.
    public let elementType: ElementType
    /// The number of its elements.
    public let count: Int
    let address: UnsafeMutableRawPointer?

    /// Describes a float32 tensor by its elements in row-major order.
    public init(_ name: String, shape: [Int]? = nil, _ elements: UnsafeMutableBufferPointer<Float>) {
        self.name = name
        self.shape = shape
        elementType = .float32
        count = elements.count
        address = UnsafeMutableRawPointer(elements.baseAddress)
    }

    /// Describes a 16-bit tensor by the bit patterns of its elements in row-major order.
    ///
    /// - Precondition: The element type is float16 or bfloat16.
    public init(
        _ name: String, shape: [Int]? = nil, bitPatterns: UnsafeMutableBufferPointer<UInt16>, _ elementType: ElementType
    ) {
        stopUnless(elementType.byteCount == 2, "\(elementType) does not have 16 bits.")
        self.name = name
        self.shape = shape
        self.elementType = elementType
        count = bitPatterns.count
        address = UnsafeMutableRawPointer(bitPatterns.baseAddress)
    }

    init(_ parameter: ParameterDescription, _ elementType: ElementType, address: UnsafeMutableRawPointer) {
        name = parameter.name
        shape = parameter.shape
        self.elementType = elementType
        count = parameter.count
        self.address = address
    }
}
