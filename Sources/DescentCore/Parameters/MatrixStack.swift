/// The matrices that a tensor is a stack of: those of its last two dimensions.
///
/// The output unit counts as the first dimension, wherever it lies, as blocks hand elements out. A tensor of rank 2 is one
/// matrix; of rank 1, one of a single column; of rank 0, one of a single element.
package struct MatrixStack: Sendable, Hashable {
    /// How many matrices there are.
    package let count: Int
    /// How many rows each has.
    package let rows: Int
    /// How many columns each has.
    package let columns: Int

    /// The rows of all matrices together.
    package var rowCount: Int { count * rows }
    /// The columns of all matrices together.
    package var columnCount: Int { count * columns }
}

extension ParameterDescription {
    /// The matrices that a tensor of this shape is a stack of.
    package var matrices: MatrixStack {
        guard rank > 1 else { return MatrixStack(count: 1, rows: rowCount, columns: 1) }
        var extents = shape
        if outputAxis == .last { extents.insert(extents.removeLast(), at: 0) }
        return MatrixStack(
            count: extents.dropLast(2).reduce(1, *), rows: extents[rank - 2], columns: extents[rank - 1])
    }
}
