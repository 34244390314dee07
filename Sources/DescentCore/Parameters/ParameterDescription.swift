/// What the pipeline knows of one parameter tensor: its name and its shape.
///
/// The output unit is dimension 0, as in PyTorch and MLX, or the last one, as in TensorFlow and Flax. A *row* is one
/// index of that dimension: one unit and everything that feeds it. A tensor of rank 1 has as many rows as elements; a tensor of rank 0 is one row of
/// one element.
public struct ParameterDescription: Sendable, Hashable {
    /// The name, unique within a layout, with dots between the parts of a path: `"encoder.fc1.weight"`.
    public let name: String
    /// The extent of each dimension; empty for a scalar.
    public let shape: [Int]
    /// Which dimension is the output unit.
    public let outputAxis: OutputAxis
    /// The product of the extents; 1 for a scalar, 0 as soon as one extent is 0.
    public let count: Int
    /// The number of rows.
    public let rowCount: Int
    /// The number of elements of a row.
    public let columnCount: Int

    /// Describes a parameter.
    ///
    /// - Parameters:
    ///   - name: The name of the parameter, not empty.
    ///   - shape: The extents, each at least 0, whose product is at most ``maximumElementCount``.
    ///   - outputAxis: Which dimension is the output unit; of no consequence below rank 2.
    /// - Throws: ``DescentError`` with code `invalidShape` or `invalidName`.
    public init(_ name: String, shape: [Int], outputAxis: OutputAxis = .first) throws(DescentError) {
        guard !name.isEmpty else {
            throw DescentError(.invalidName, "A parameter of shape \(shape) has an empty name.")
        }
        var count = 1
        var columnCount = 1
        // Where an extent is 0, rows and columns are counted all the same.
        var largest = 1
        let unit = outputAxis == .last && shape.count > 1 ? shape.count - 1 : 0
        for (dimension, extent) in shape.enumerated() {
            let (product, overflow) = largest.multipliedReportingOverflow(by: max(1, extent))
            guard extent >= 0, !overflow, product <= Self.maximumElementCount else {
                throw DescentError(
                    .invalidShape, parameter: name,
                    "The shape \(shape) of \(name.quotedBriefly) has a negative extent, or more elements than memory can hold."
                )
            }
            largest = product
            count *= extent
            if dimension != unit { columnCount *= extent }
        }
        self.name = name
        self.shape = shape
        self.count = count
        self.outputAxis = unit == 0 ? .first : .last
        self.rowCount = shape.isEmpty ? 1 : shape[unit]
        self.columnCount = columnCount
    }

    /// How many elements a tensor, and all tensors of a layout together, may have: `Int.max / 16`.
    ///
    /// The bytes of so many can still be counted in an `Int`.
    public static let maximumElementCount = Int.max / 16

    /// The number of dimensions.
    public var rank: Int { shape.count }

    /// The name up to its last dot (`"encoder.fc1"`), which names the layer; the whole name where it has no dot.
    public var layer: String {
        guard let dot = name.lastIndex(of: ".") else { return name }
        return String(name[..<dot])
    }
}
