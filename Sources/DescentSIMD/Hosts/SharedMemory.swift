import DescentCore

extension DescentError {
    /// Refuses tensors to be written that share memory with each other or with parameters and gradients to be read.
    ///
    /// - Throws: `DescentError` with code `sharedMemory` that names two tensors.
    /// - Complexity: O(n log n) in the number of tensors; O(n) where they are in the order of memory.
    static func requireSeparate(
        written: [UnsafeTensor], parameters: [UnsafeTensor], gradients: [UnsafeTensor]
    ) throws(DescentError) {
        for tensor in written { try tensor.requireElementsApart() }
        let extents =
            (written.map { Extent($0, .written) } + parameters.map { Extent($0, .parameter) }
            + gradients.map { Extent($0, .gradient) }).sorted { $0.start < $1.start }
        var furthest: Extent?
        var furthestWritten: Extent?
        for extent in extents where extent.start < extent.end {
            // What is only read may overlap; so look back at whatever reaches furthest, or furthest of what is written.
            if let other = extent.isWritten ? furthest : furthestWritten, extent.start < other.end {
                if extent.isWritten, let twin = furthestWritten, twin.start == extent.start, twin.end == extent.end {
                    throw oneMemory(extent.name, twin.name, in: written)
                }
                throw DescentError(
                    .sharedMemory, parameter: extent.name,
                    "The \(extent.role.rawValue) of \(extent.name.quotedBriefly) shares memory with the \(other.role.rawValue) of "
                        + "\(other.name.quotedBriefly): a step would read what it has just changed. Hand over tensors that are "
                        + "apart; if they are one parameter with two names, declare them tied (ParameterLayout.tying).")
            }
            if extent.end > furthest?.end ?? 0 { furthest = extent }
            if extent.isWritten, extent.end > furthestWritten?.end ?? 0 { furthestWritten = extent }
        }
    }

    /// The error for memory that is handed over under two names, to be written.
    private static func oneMemory(_ first: String, _ second: String, in written: [UnsafeTensor]) -> DescentError {
        // In the order in which they were handed over, the one that comes first is the parameter.
        let isInOrder = written.first { $0.name == first || $0.name == second }?.name == first
        let (name, other) = isInOrder ? (first, second) : (second, first)
        let (quoted, otherQuoted) = (name.quotedBriefly, other.quotedBriefly)
        return DescentError(
            .sharedMemory, parameter: other,
            "\(otherQuoted) and \(quoted) are one memory, which a step would change twice. If they are one parameter with "
                + "two names, build the pipeline with `layout.tying([\(otherQuoted): \(quoted)])`; if not, hand over "
                + "tensors that are apart.")
    }

    /// Where a tensor lies in memory.
    private struct Extent {
        let name: String
        let start: UInt
        let end: UInt
        let role: Role

        enum Role: String {
            case written = "memory that is written"
            case parameter = "value before the step"
            case gradient
        }

        init(_ tensor: UnsafeTensor, _ role: Role) {
            name = tensor.name
            start = UInt(bitPattern: tensor.address)
            end = start + UInt((tensor.count == 0 ? 0 : tensor.extent) * tensor.elementType.byteCount)
            self.role = role
        }

        var isWritten: Bool { role == .written }
    }
}
