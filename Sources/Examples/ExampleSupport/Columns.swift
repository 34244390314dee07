/// Columns of text for a terminal, as wide as their titles, spaces included.
package struct Columns {
    private let widths: [Int]
    private let leftAligned: Set<Int>
    /// The line of titles.
    package let header: String

    /// Makes columns of titles.
    ///
    /// - Parameters:
    ///   - titles: The titles, padded to the width of their columns.
    ///   - leftAligned: Which columns are aligned left; the others are aligned right.
    package init(_ titles: String..., leftAligned: Set<Int> = [0]) {
        widths = titles.map(\.count)
        self.leftAligned = leftAligned
        header = titles.joined(separator: "  ")
    }

    /// A line with a cell for each column, without spaces at its end.
    package func line(_ cells: String...) -> String {
        let padded = zip(cells, widths).enumerated().map { column, entry in
            let (cell, width) = entry
            let padding = String(repeating: " ", count: max(0, width - cell.count))
            return leftAligned.contains(column) ? cell + padding : padding + cell
        }
        let line = padded.joined(separator: "  ")
        return String(line[..<(line.lastIndex { $0 != " " }.map(line.index(after:)) ?? line.startIndex)])
    }
}
