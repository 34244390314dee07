import DescentCore

/// The memory of a set of tensors, and the only place that allocates it.
///
/// `TensorSet` copies it before it changes what others can see, and a sweep's threads write to disjoint parts of it;
/// that makes sharing it between threads safe. Borrowed memory is its owner's to guard.
final class AlignedMemory: @unchecked Sendable {
    /// The size of a cache line, and of the widest vector.
    static let alignment = 64

    private let base: UnsafeMutableRawPointer
    private let byteCount: Int
    /// Where each tensor starts.
    let bases: UnsafeMutablePointer<UnsafeMutableRawPointer>
    let elementType: ElementType
    let isOwned: Bool

    /// Allocates zeros.
    init(_ layout: ParameterLayout, _ elementType: ElementType) {
        func paddedSize(_ parameter: ParameterDescription) -> Int {
            let size = parameter.count * elementType.byteCount
            return (size + Self.alignment - 1) / Self.alignment * Self.alignment
        }
        byteCount = layout.reduce(0) { $0 + paddedSize($1) }
        base = .allocate(byteCount: max(1, byteCount), alignment: Self.alignment)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        bases = .allocate(capacity: layout.count)
        var offset = 0
        for (index, parameter) in layout.enumerated() {
            bases.advanced(by: index).initialize(to: base + offset)
            offset += paddedSize(parameter)
        }
        self.elementType = elementType
        isOwned = true
    }

    /// Wraps external memory; nil stands for an empty tensor.
    init(borrowing tensors: [UnsafeMutableRawPointer?], _ elementType: ElementType) {
        base = .allocate(byteCount: 1, alignment: Self.alignment)
        byteCount = 0
        bases = .allocate(capacity: tensors.count)
        for (index, tensor) in tensors.enumerated() { bases.advanced(by: index).initialize(to: tensor ?? base) }
        self.elementType = elementType
        isOwned = false
    }

    deinit {
        bases.deallocate()
        base.deallocate()
    }

    func copy(_ layout: ParameterLayout) -> AlignedMemory {
        let copy = AlignedMemory(layout, elementType)
        copy.base.copyMemory(from: base, byteCount: byteCount)
        return copy
    }

    /// Allocates memory for floats, aligned to a cache line; uninitialized, and never nil, even for none.
    static func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
        UnsafeMutableRawPointer.allocate(
            byteCount: max(1, count) * MemoryLayout<Float>.stride, alignment: alignment
        ).bindMemory(to: Float.self, capacity: max(1, count))
    }
}
