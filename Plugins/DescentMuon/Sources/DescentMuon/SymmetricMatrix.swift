/// A symmetric matrix of which the lower triangle has been written, row by row.
struct SymmetricMatrix {
    let elements: UnsafeMutablePointer<Float>
    /// The number of rows, and of columns.
    let size: Int

    /// How many rows and columns are mirrored at once: as many floats as a line of cache holds.
    private static let tileSize = 16

    /// Makes the matrix whole, and writes a multiple of its lower triangle elsewhere.
    ///
    /// Goes through it tile by tile, so that a line of cache is read once and written once.
    func mirror(writingLowerTo copy: UnsafeMutablePointer<Float>, times factor: Float) {
        let wholeTiles = size / Self.tileSize * Self.tileSize
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.tileSize * Self.tileSize) { tile in
            guard let tile = tile.baseAddress else { return }
            for firstRow in stride(from: 0, to: wholeTiles, by: Self.tileSize) {
                for firstColumn in stride(from: 0, to: firstRow, by: Self.tileSize) {
                    read(firstRow, firstColumn, into: tile, copy, factor)
                    writeTransposed(tile, firstRow, firstColumn)
                }
                mirrorEach(rows: firstRow..<firstRow + Self.tileSize, from: firstRow, copy, factor)
            }
        }
        mirrorEach(rows: wholeTiles..<size, from: 0, copy, factor)
    }

    /// Reads a whole tile below the diagonal, and writes a multiple of it.
    private func read(
        _ firstRow: Int, _ firstColumn: Int, into tile: UnsafeMutablePointer<Float>,
        _ copy: UnsafeMutablePointer<Float>, _ factor: Float
    ) {
        for row in 0..<Self.tileSize {
            let start = (firstRow + row) * size + firstColumn
            let line = UnsafeRawPointer(elements + start).loadUnaligned(as: SIMD16<Float>.self)
            UnsafeMutableRawPointer(copy + start).storeBytes(of: line * factor, as: SIMD16<Float>.self)
            UnsafeMutableRawPointer(tile + row * Self.tileSize).storeBytes(of: line, as: SIMD16<Float>.self)
        }
    }

    /// Writes a tile above the diagonal, four by four elements at once.
    private func writeTransposed(_ tile: UnsafeMutablePointer<Float>, _ firstRow: Int, _ firstColumn: Int) {
        func quad(_ row: Int, _ column: Int) -> SIMD4<Float> {
            UnsafeRawPointer(tile + row * Self.tileSize + column).loadUnaligned(as: SIMD4<Float>.self)
        }
        for column in stride(from: 0, to: Self.tileSize, by: 4) {
            for row in stride(from: 0, to: Self.tileSize, by: 4) {
                let (a, b, c, d) = (
                    quad(row, column), quad(row + 1, column), quad(row + 2, column), quad(row + 3, column)
                )
                let target = UnsafeMutableRawPointer(elements + (firstColumn + column) * size + firstRow + row)
                let line = size * MemoryLayout<Float>.stride
                target.storeBytes(of: SIMD4(a.x, b.x, c.x, d.x), as: SIMD4<Float>.self)
                target.storeBytes(of: SIMD4(a.y, b.y, c.y, d.y), toByteOffset: line, as: SIMD4<Float>.self)
                target.storeBytes(of: SIMD4(a.z, b.z, c.z, d.z), toByteOffset: 2 * line, as: SIMD4<Float>.self)
                target.storeBytes(of: SIMD4(a.w, b.w, c.w, d.w), toByteOffset: 3 * line, as: SIMD4<Float>.self)
            }
        }
    }

    /// Mirrors rows from a column up to the diagonal, element by element.
    private func mirrorEach(
        rows: Range<Int>, from firstColumn: Int, _ copy: UnsafeMutablePointer<Float>, _ factor: Float
    ) {
        for row in rows where row >= firstColumn {
            for column in firstColumn...row {
                let element = elements[row * size + column]
                copy[row * size + column] = element * factor
                elements[column * size + row] = element
            }
        }
    }

    /// Adds a number to each element of the diagonal.
    func addToDiagonal(_ number: Float) {
        for index in 0..<size { elements[index * (size + 1)] += number }
    }
}
