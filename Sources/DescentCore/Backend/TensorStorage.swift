/// A named, ordered set of float tensors, as a value: a copy is independent of the original.
public protocol TensorStorage: Sendable {
    /// The names and shapes.
    var layout: ParameterLayout { get }

    /// How the elements are stored.
    var elementType: ElementType { get }

    /// How those of each tensor are stored, where tensors differ; nil where all are as ``elementType`` says, the default.
    var mixedElementTypes: [ElementType]? { get }

    /// Makes sure that a change through this value is seen by no other.
    mutating func makeUnique()

    /// Gives the bytes of a tensor to a closure, to read while it runs: its elements in row-major order, as stored.
    ///
    /// - Parameters:
    ///   - position: The position of the tensor in the layout.
    ///   - body: What to do with the bytes, of which there are as many as the elements take.
    /// - Returns: What the closure returns.
    /// - Throws: What the closure throws.
    func withBytes<Result>(
        of position: Int, _ body: (UnsafeRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result

    /// Gives the bytes of a tensor to a closure, to change while it runs; no other value sees the change.
    ///
    /// See ``withBytes(of:_:)``.
    mutating func withMutableBytes<Result>(
        of position: Int, _ body: (UnsafeMutableRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result
}

extension TensorStorage {
    public var mixedElementTypes: [ElementType]? { nil }
}
