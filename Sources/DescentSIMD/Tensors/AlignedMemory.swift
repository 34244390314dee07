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
    /// Where each tensor would start if nothing of the whole that it is part of were missing in front of it: what sweeps
    /// count from, whose blocks know their places in the whole.
    let wholeBases: UnsafeMutablePointer<UnsafeMutableRawPointer>
    /// For each tensor, the place of its first element in the whole that it is part of; empty if none is a part.
    private let origins: [Int]
    /// How tensors are stored; float32 where they differ, in which case ``views`` tells of each.
    let elementType: ElementType
    /// How each tensor lies, where one of them is not in row-major order without gaps, or types differ; otherwise empty.
    let views: UnsafeMutableBufferPointer<TensorView>
    let isOwned: Bool
    /// Whether types differ.
    let isMixed: Bool

    /// Allocates zeros.
    ///
    /// - Parameters:
    ///   - layout: The tensors.
    ///   - elementType: How elements are stored.
    ///   - origins: For each tensor, the place of its first element in the whole that it is part of; empty if none is a part.
    init(_ layout: ParameterLayout, _ elementType: ElementType, startingAt origins: [Int] = []) {
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
        self.origins = origins
        wholeBases = origins.isEmpty ? bases : .allocate(capacity: layout.count)
        for (index, origin) in origins.enumerated() {
            wholeBases.advanced(by: index).initialize(to: bases[index] - origin * elementType.byteCount)
        }
        self.elementType = elementType
        views = UnsafeMutableBufferPointer(start: nil, count: 0)
        (isOwned, isMixed) = (true, false)
    }

    /// Wraps external memory; nil stands for an empty tensor, or for one that nobody will touch.
    init(borrowing tensors: [UnsafeTensor?]) {
        base = .allocate(byteCount: 1, alignment: Self.alignment)
        byteCount = 0
        bases = .allocate(capacity: tensors.count)
        (wholeBases, origins) = (bases, [])
        for (index, tensor) in tensors.enumerated() {
            bases.advanced(by: index).initialize(to: tensor?.address ?? base)
        }
        let first = tensors.lazy.compactMap { $0 }.first?.elementType ?? .float32
        isMixed = tensors.contains { $0.map { $0.elementType != first } ?? false }
        elementType = isMixed ? .float32 : first
        isOwned = false
        guard isMixed || tensors.contains(where: { !($0?.axes.isEmpty ?? true) }) else {
            views = UnsafeMutableBufferPointer(start: nil, count: 0)
            return
        }
        let views = UnsafeMutableBufferPointer<TensorView>.allocate(capacity: tensors.count)
        for (index, tensor) in tensors.enumerated() {
            let axes = UnsafeMutableBufferPointer<TensorView.Axis>.allocate(capacity: tensor?.axes.count ?? 0)
            _ = axes.initialize(from: tensor?.axes ?? [])
            views.initializeElement(
                at: index,
                to: TensorView(
                    base: bases[index], elementType: tensor?.elementType ?? elementType,
                    axes: UnsafeBufferPointer(axes)))
        }
        self.views = views
    }

    deinit {
        for view in views { view.axes.deallocate() }
        views.deallocate()
        if !origins.isEmpty { wholeBases.deallocate() }
        bases.deallocate()
        base.deallocate()
    }

    func copy(_ layout: ParameterLayout) -> AlignedMemory {
        let copy = AlignedMemory(layout, elementType, startingAt: origins)
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
