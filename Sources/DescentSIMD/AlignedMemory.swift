import DescentCore

/// The memory of a set of tensors, and the only place that allocates it.
///
/// `TensorSet` copies it before it changes what others can see, and a sweep's threads write to disjoint parts of it;
/// that makes sharing it between threads safe. Borrowed memory is its owner's to guard.
final class AlignedMemory: @unchecked Sendable {
    /// The size of a cache line, and of the widest vector.
    static let alignment = 64

    private let base: UnsafeMutablePointer<Float>?
    /// Where each tensor starts.
    let bases: UnsafeMutablePointer<UnsafeMutablePointer<Float>>
    let isOwned: Bool
    private let length: Int

    /// Allocates zeros.
    init(_ layout: ParameterLayout) {
        let lanes = Self.alignment / MemoryLayout<Float>.stride
        let length = layout.reduce(0) { $0 + ($1.count + lanes - 1) / lanes * lanes }
        let base = Self.allocate(length)
        base.initialize(repeating: 0, count: length)
        bases = .allocate(capacity: layout.count)
        var offset = 0
        for (index, parameter) in layout.enumerated() {
            bases.advanced(by: index).initialize(to: base + offset)
            offset += (parameter.count + lanes - 1) / lanes * lanes
        }
        self.base = base
        self.length = length
        isOwned = true
    }

    /// Wraps memory of somebody else's; nil stands for an empty tensor.
    init(borrowing tensors: [UnsafeMutablePointer<Float>?]) {
        base = Self.allocate(0)
        length = 0
        bases = .allocate(capacity: tensors.count)
        for (index, tensor) in tensors.enumerated() {
            guard let address = tensor ?? base else { continue }
            bases.advanced(by: index).initialize(to: address)
        }
        isOwned = false
    }

    deinit {
        bases.deallocate()
        base?.deallocate()
    }

    func copy(_ layout: ParameterLayout) -> AlignedMemory {
        let copy = AlignedMemory(layout)
        if let base { copy.base?.update(from: base, count: length) }
        return copy
    }

    /// Allocates memory for floats, aligned to a cache line; uninitialized, and never nil, even for none.
    static func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
        UnsafeMutableRawPointer.allocate(
            byteCount: max(1, count) * MemoryLayout<Float>.stride, alignment: alignment
        ).bindMemory(to: Float.self, capacity: max(1, count))
    }
}
