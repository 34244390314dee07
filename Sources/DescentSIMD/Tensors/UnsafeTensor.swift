public import DescentCore

extension TensorSet {
    /// Runs a body with a set of tensors in external memory, without a copy.
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
        try withUnsafeTensors(tensors, layout: layout, mayDiffer: false, body)
    }

    /// Runs a body with a set of tensors in external memory, which may differ in their types if they are only read.
    static func withUnsafeTensors<Result>(
        _ tensors: [UnsafeTensor], layout: ParameterLayout, mayDiffer: Bool,
        _ body: (inout TensorSet) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        var found = [UnsafeTensor?](repeating: nil, count: layout.count)
        let elementType = tensors.first?.elementType ?? .float32
        for tensor in tensors {
            guard let index = layout.index(named: tensor.name) else {
                throw DescentError(
                    .unexpectedParameter, parameter: tensor.name,
                    "There is a tensor named \(tensor.name.quotedBriefly), which the pipeline was not built for"
                        + layout.hint(for: tensor.name))
            }
            guard found[index] == nil else {
                throw DescentError(
                    .duplicateParameter, parameter: tensor.name,
                    "The tensor \(tensor.name.quotedBriefly) was handed over twice.")
            }
            let expected = layout[index]
            guard mayDiffer || tensor.elementType == elementType else {
                throw DescentError(
                    .elementTypeMismatch, parameter: tensor.name,
                    "\(tensor.name.quotedBriefly) is \(tensor.elementType), but the tensors before it are \(elementType)."
                )
            }
            try tensor.requireFit(expected)
            found[index] = tensor
        }
        for (index, parameter) in layout.enumerated() where found[index] == nil {
            throw DescentError(
                .missingParameter, parameter: parameter.name,
                "There is no tensor named \(parameter.name.quotedBriefly).")
        }
        var set = TensorSet(layout: layout, memory: AlignedMemory(borrowing: found))
        return try body(&set)
    }

    /// Runs a body with a set of tensors in external memory, if there is one.
    static func withOptionalTensors<Result>(
        _ tensors: [UnsafeTensor]?, layout: ParameterLayout, _ body: (TensorSet?) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        guard let tensors else { return try body(nil) }
        return try withUnsafeTensors(tensors, layout: layout, mayDiffer: true) { tensors throws(DescentError) in
            try body(tensors)
        }
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
                "There is no parameter named \(tensor.name.quotedBriefly) to receive a gradient for"
                    + layout.hint(for: tensor.name))
        }
        let expected = layout[index]
        try tensor.requireFit(expected)
        var tensors = [UnsafeTensor?](repeating: nil, count: layout.count)
        tensors[index] = tensor
        return (TensorSet(layout: layout, memory: AlignedMemory(borrowing: tensors)), index)
    }
}

/// A tensor in external memory.
public struct UnsafeTensor {
    /// The parameter's name.
    public private(set) var name: String
    /// Its shape, to have it checked; nil checks the number of elements alone.
    public let shape: [Int]?
    /// How its elements are stored.
    public let elementType: ElementType
    /// The number of its elements.
    public let count: Int
    /// How far its elements are apart along each axis, counted in elements; nil for row-major order without gaps.
    public let strides: [Int]?
    let address: UnsafeMutableRawPointer?
    /// How many elements its memory has room for, from the first one on.
    let capacity: Int
    /// Its axes, where it is not in row-major order without gaps.
    let axes: [TensorView.Axis]

    /// Describes a float32 tensor by its elements in row-major order.
    public init(_ name: String, shape: [Int]? = nil, _ elements: UnsafeMutableBufferPointer<Float>) {
        self.init(name, shape, UnsafeMutableRawPointer(elements.baseAddress), count: elements.count, .float32)
    }

    /// Describes a float32 tensor whose elements lie in another order than row-major, or with gaps.
    ///
    /// A matrix of 10 rows and 64 columns that is the transpose of one in row-major order has the shape [10, 64] and the
    /// strides [1, 10]. It is read as it lies, in tiles, and gives the same bits as the same tensor in row-major order.
    ///
    /// - Parameters:
    ///   - name: The parameter's name.
    ///   - shape: Its shape.
    ///   - strides: How many elements lie between neighbours along each axis, at least 0; 0 repeats an element, which is
    ///     refused where tensors are written. What does not fit the shape or the memory is refused by the call that the
    ///     tensor is handed to, with code `invalidStrides`.
    ///   - elements: Its memory, from its first element on; there may be more behind its last.
    public init(_ name: String, shape: [Int], strides: [Int], _ elements: UnsafeMutableBufferPointer<Float>) {
        self.init(
            name, shape, strides, UnsafeMutableRawPointer(elements.baseAddress), capacity: elements.count, .float32)
    }

    /// Describes a 16-bit tensor whose elements lie in another order than row-major, or with gaps.
    ///
    /// See ``init(_:shape:strides:_:)``.
    ///
    /// - Precondition: The element type is float16 or bfloat16.
    public init(
        _ name: String, shape: [Int], strides: [Int], bitPatterns: UnsafeMutableBufferPointer<UInt16>,
        _ elementType: ElementType
    ) {
        stopUnless(elementType.byteCount == 2, "\(elementType) does not have 16 bits.")
        self.init(
            name, shape, strides, UnsafeMutableRawPointer(bitPatterns.baseAddress), capacity: bitPatterns.count,
            elementType)
    }

    private init(
        _ name: String, _ shape: [Int], _ strides: [Int], _ address: UnsafeMutableRawPointer?, capacity: Int,
        _ elementType: ElementType
    ) {
        self.name = name
        self.shape = shape
        self.strides = strides
        self.elementType = elementType
        self.address = address
        self.capacity = capacity
        count = shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
        axes = TensorView.axes(shape, strides)
    }

    /// Describes a 16-bit tensor by the bit patterns of its elements in row-major order.
    ///
    /// - Precondition: The element type is float16 or bfloat16.
    public init(
        _ name: String, shape: [Int]? = nil, bitPatterns: UnsafeMutableBufferPointer<UInt16>, _ elementType: ElementType
    ) {
        stopUnless(elementType.byteCount == 2, "\(elementType) does not have 16 bits.")
        self.init(
            name, shape, UnsafeMutableRawPointer(bitPatterns.baseAddress), count: bitPatterns.count, elementType)
    }

    /// Refuses a tensor of another size or shape, and strides that do not fit it.
    func requireFit(_ expected: ParameterDescription) throws(DescentError) {
        guard count == expected.count, shape ?? expected.shape == expected.shape else {
            throw DescentError(
                .shapeMismatch, parameter: name,
                "\(name.quotedBriefly) has \(count) elements\(shape.map { " in shape \($0)" } ?? ""); the pipeline was built "
                    + "for \(expected.shape).")
        }
        try requireStridesInside()
    }

    /// The same tensor under another name.
    func named(_ name: String) -> UnsafeTensor {
        var tensor = self
        tensor.name = name
        return tensor
    }

    init(_ parameter: ParameterDescription, _ elementType: ElementType, address: UnsafeMutableRawPointer) {
        self.init(parameter.name, parameter.shape, address, count: parameter.count, elementType)
    }

    /// Describes a tensor in row-major order without gaps.
    private init(
        _ name: String, _ shape: [Int]?, _ address: UnsafeMutableRawPointer?, count: Int, _ elementType: ElementType
    ) {
        self.name = name
        self.shape = shape
        self.elementType = elementType
        self.count = count
        self.address = address
        (strides, capacity, axes) = (nil, count, [])
    }
}
