/// Columns of text: the first one aligned left, the others right.
struct Columns {
    private let widths: [Int]
    /// The line of titles.
    let header: String

    /// Columns as wide as their titles, spaces included.
    init(_ titles: String...) {
        widths = titles.map(\.count)
        header = titles.joined(separator: "  ")
    }

    /// A line with a cell for each column.
    func line(_ cells: String...) -> String {
        zip(cells, widths).enumerated().map { column, entry in
            let (cell, width) = entry
            let padding = String(repeating: " ", count: max(0, width - cell.count))
            return column == 0 ? cell + padding : padding + cell
        }.joined(separator: "  ")
    }
}
