/// One tensor in a file: its name, its shape, how its elements are stored and where.
public struct SafetensorsEntry: Sendable, Hashable {
    /// The name, unique within a file.
    public let name: String
    /// How the elements are stored.
    public let type: SafetensorsType
    /// The extent of each dimension; empty for a scalar.
    public let shape: [Int]
    /// Which bytes are the tensor's, counted from where the header ends.
    public let range: Range<Int>

    /// The number of bytes.
    public var byteCount: Int { range.count }

    /// The number of bytes of a tensor; nil if a negative extent is in its shape, or if no `Int` can count them.
    static func byteCount(_ type: SafetensorsType, _ shape: [Int]) -> Int? {
        var count = type.byteCount
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflow else { return nil }
            count = product
        }
        return count
    }
}
