public import DescentCore

/// A named, ordered set of tensors in 64-byte-aligned memory.
///
/// A set is a value: copies share memory until one of them is changed. Elements lie in row-major order and are float32,
/// unless the set is made with another element type; arithmetic is float32 in any case.
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
    public init(zeros layout: ParameterLayout, _ elementType: ElementType = .float32) {
        self.layout = layout
        memory = AlignedMemory(layout, elementType)
    }

    /// Tensors of the given names and shapes, filled with zeros.
    ///
    /// - Throws: `DescentError` if two parameters share a name.
    public init(_ parameters: [ParameterDescription]) throws(DescentError) {
        self.init(zeros: try ParameterLayout(parameters))
    }

    /// Tensors of a layout with given elements.
    ///
    /// - Parameters:
    ///   - values: The elements of each tensor in row-major order, by name.
    ///   - layout: The names, shapes and order.
    /// - Throws: `DescentError` that names the tensor that is missing, too many or of another size.
    public init(_ values: [String: [Float]], layout: ParameterLayout) throws(DescentError) {
        self.init(zeros: layout)
        for name in values.keys.sorted() where layout.index(named: name) == nil {
            throw DescentError(
                .unexpectedParameter, parameter: name,
                "\(name.quotedBriefly) has values but is not in the layout\(name.hint(among: layout.lazy.map(\.name)))")
        }
        for parameter in layout {
            guard let elements = values[parameter.name] else {
                throw DescentError(
                    .missingParameter, parameter: parameter.name,
                    "There are no values for \(parameter.name.quotedBriefly).")
            }
            guard elements.count == parameter.count else {
                throw DescentError(
                    .shapeMismatch, parameter: parameter.name,
                    "\(parameter.name.quotedBriefly) got \(elements.count) elements; its shape \(parameter.shape) has "
                        + "\(parameter.count).")
            }
            self[parameter.name] = elements
        }
    }

    init(layout: ParameterLayout, memory: AlignedMemory) {
        self.layout = layout
        self.memory = memory
    }

    /// The number of tensors.
    public var count: Int { layout.count }

    public var elementType: ElementType { memory.elementType }

    public var mixedElementTypes: [ElementType]? {
        guard memory.isMixed else { return nil }
        return memory.views.map(\.elementType)
    }

    /// Where each tensor starts.
    var starts: UnsafePointer<UnsafeMutableRawPointer> { UnsafePointer(memory.bases) }

    /// Where each tensor starts for blocks, which know their places in whole parameters.
    var bases: UnsafePointer<UnsafeMutableRawPointer> { UnsafePointer(memory.wholeBases) }

    /// Whether each tensor starts where the one before ends, up to the next multiple of a cache line.
    var isAllocatedTogether: Bool { memory.isOwned }

    /// How each tensor lies, where they are not all alike.
    var views: UnsafePointer<TensorView>? { UnsafePointer(memory.views.baseAddress) }

    public mutating func makeUnique() {
        if memory.isOwned, !isKnownUniquelyReferenced(&memory) { memory = memory.copy(layout) }
    }

    public func withBytes<Result>(
        of position: Int, _ body: (UnsafeRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        guard let view = views?[position] else { return try body(UnsafeRawBufferPointer(bytes(of: position))) }
        // Apart from where it lies, such a tensor is like any other.
        let copy = view.copied(layout[position].count, as: elementType)
        defer { copy.deallocate() }
        return try body(UnsafeRawBufferPointer(copy))
    }

    public mutating func withMutableBytes<Result>(
        of position: Int, _ body: (UnsafeMutableRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        makeUnique()
        guard let view = views?[position] else { return try body(bytes(of: position)) }
        let copy = view.copied(layout[position].count, as: elementType)
        defer {
            view.take(copy, as: elementType)
            copy.deallocate()
        }
        return try body(copy)
    }

    /// Gives the elements of a float32 tensor to read, in row-major order.
    ///
    /// - Precondition: There is a tensor with that name, and the set's element type is float32.
    public func withElements<Result>(of name: String, _ body: (Span<Float>) throws -> Result) rethrows -> Result {
        guard let view = views?[position(of: name)] else {
            return try body(UnsafeBufferPointer(buffer(name, of: .float32, as: Float.self)).span)
        }
        requireElementType(.float32)
        let copy = view.copied(layout[position(of: name)].count, as: .float32)
        defer { copy.deallocate() }
        return try body(UnsafeBufferPointer(copy.assumingMemoryBound(to: Float.self)).span)
    }

    /// Gives the elements of a float32 tensor to change, in row-major order.
    ///
    /// - Precondition: There is a tensor with that name, and the set's element type is float32.
    public mutating func withMutableElements<Result>(
        of name: String, _ body: (inout MutableSpan<Float>) throws -> Result
    ) rethrows -> Result {
        try withMutableBuffer(of: name, .float32, as: Float.self, body)
    }

    /// Gives the bit patterns of a 16-bit tensor to change, in row-major order.
    ///
    /// - Precondition: There is a tensor with that name, and the set's element type has 16 bits.
    public mutating func withMutableBitPatterns<Result>(
        of name: String, _ body: (inout MutableSpan<UInt16>) throws -> Result
    ) rethrows -> Result {
        stopUnless(
            elementType.byteCount == 2, "The elements of this set are \(elementType) and have no 16-bit patterns.")
        return try withMutableBuffer(of: name, elementType, as: UInt16.self, body)
    }

    private mutating func withMutableBuffer<Element, Result>(
        of name: String, _ elementType: ElementType, as type: Element.Type,
        _ body: (inout MutableSpan<Element>) throws -> Result
    ) rethrows -> Result {
        makeUnique()
        requireElementType(elementType)
        let position = position(of: name)
        guard let view = views?[position] else {
            var span = buffer(name, of: elementType, as: type).mutableSpan
            return try body(&span)
        }
        let copy = view.copied(layout[position].count, as: elementType)
        defer {
            view.take(copy, as: elementType)
            copy.deallocate()
        }
        var span = copy.assumingMemoryBound(to: type).mutableSpan
        return try body(&span)
    }

    /// The elements of a tensor as an array, in row-major order; what is set is rounded to the set's element type.
    ///
    /// Of codes of 8 bits, which only slots have, these are the codes as whole numbers, and they cannot be set.
    ///
    /// - Precondition: There is a tensor with that name, and as many values as it has elements.
    public subscript(name: String) -> [Float] {
        get {
            if let view = views?[position(of: name)] { return view.floats(layout[position(of: name)].count) }
            return switch elementType {
            case .float32: Array(buffer(name, of: .float32, as: Float.self))
            case .float16:
                buffer(name, of: .float16, as: UInt16.self).map { Float(Binary16(bitPattern: $0)) }
            case .bfloat16:
                buffer(name, of: .bfloat16, as: UInt16.self).map { Float(BFloat16(bitPattern: $0)) }
            case .int8, .uint8: buffer(name, of: elementType, as: UInt8.self).map { Float($0) }
            }
        }
        set {
            makeUnique()
            let count = layout[position(of: name)].count
            stopUnless(
                newValue.count == count, "\(newValue.count) values for \"\(name)\", which has \(count) elements.")
            if let view = views?[position(of: name)] {
                return view.scatter(newValue, to: 0..<count, Kernels(.portable))
            }
            switch elementType {
            case .float32: _ = buffer(name, of: .float32, as: Float.self).update(from: newValue)
            case .float16:
                _ = buffer(name, of: .float16, as: UInt16.self).update(from: newValue.map { Binary16($0).bitPattern })
            case .bfloat16:
                _ = buffer(name, of: .bfloat16, as: UInt16.self).update(from: newValue.map { BFloat16($0).bitPattern })
            case .int8, .uint8: stopForMisuse("Codes of 8 bits mean nothing without the scales of their groups.")
            }
        }
    }

    private func buffer<Element>(
        _ name: String, of elementType: ElementType, as type: Element.Type
    ) -> UnsafeMutableBufferPointer<Element> {
        requireElementType(elementType)
        let index = position(of: name)
        return UnsafeMutableBufferPointer(
            start: memory.bases[index].assumingMemoryBound(to: type), count: layout[index].count)
    }

    private func requireElementType(_ elementType: ElementType) {
        stopUnless(
            elementType == self.elementType, "The elements of this set are \(self.elementType), not \(elementType).")
    }

    private func bytes(of position: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: memory.bases[position], count: layout[position].count * elementType.byteCount)
    }

    private func position(of name: String) -> Int {
        guard let index = layout.index(named: name) else {
            stopForMisuse("There is no tensor \"\(name)\"\(name.hint(among: layout.lazy.map(\.name)))")
        }
        return index
    }
}
