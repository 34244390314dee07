/// A symmetric matrix of which the lower triangle has been written, row by row.
struct SymmetricMatrix {
    let elements: UnsafeMutablePointer<Float>
    /// The number of rows, and of columns.
    let size: Int

    /// How many rows and columns are mirrored at once: as many floats as a line of cache holds.
    private static let tileSize = 16

    /// Makes the matrix whole, and copies its lower triangle.
    ///
    /// Goes through it tile by tile, so that a line of cache is read once and written once.
    func mirror(copyingLowerTo copy: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.tileSize * Self.tileSize) { tile in
            guard let tile = tile.baseAddress else { return }
            let wholeTiles = size / Self.tileSize * Self.tileSize
            for firstRow in stride(from: 0, to: wholeTiles, by: Self.tileSize) {
                for firstColumn in stride(from: 0, to: firstRow, by: Self.tileSize) {
                    mirror(firstRow, firstColumn, tile, copy)
                }
                mirrorEach(rows: firstRow..<firstRow + Self.tileSize, from: firstRow, copy)
            }
            mirrorEach(rows: wholeTiles..<size, from: 0, copy)
        }
    }

    /// Mirrors a whole tile below the diagonal.
    @inline(__always)
    private func mirror(
        _ firstRow: Int, _ firstColumn: Int, _ tile: UnsafeMutablePointer<Float>, _ copy: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<Self.tileSize {
            let start = (firstRow + row) * size + firstColumn
            for column in 0..<Self.tileSize {
                let element = elements[start + column]
                copy[start + column] = element
                tile[row * Self.tileSize + column] = element
            }
        }
        for column in 0..<Self.tileSize {
            let start = (firstColumn + column) * size + firstRow
            for row in 0..<Self.tileSize { elements[start + row] = tile[row * Self.tileSize + column] }
        }
    }

    /// Mirrors rows from a column up to the diagonal, element by element.
    private func mirrorEach(rows: Range<Int>, from firstColumn: Int, _ copy: UnsafeMutablePointer<Float>) {
        for row in rows where row >= firstColumn {
            for column in firstColumn...row {
                let element = elements[row * size + column]
                copy[row * size + column] = element
                elements[column * size + row] = element
            }
        }
    }

    /// Adds a number to each element of the diagonal.
    func addToDiagonal(_ number: Float) {
        for index in 0..<size { elements[index * (size + 1)] += number }
    }
}
