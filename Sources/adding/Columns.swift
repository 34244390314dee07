/// Columns of text for a terminal: the first one aligned left, the others right.
struct Columns {
    private let widths: [Int]
    /// The line of titles.
    let header: String

    /// Columns as wide as their titles, spaces included.
    init(_ titles: String...) {
        widths = titles.map(\.count)
        header = titles.joined(separator: "  ")
    }

    /// A line of one cell for each column.
    func line(_ cells: String...) -> String {
        zip(cells, widths).enumerated().map { column, cell in
            let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return column == 0 ? cell.0 + padding : padding + cell.0
        }.joined(separator: "  ")
    }
}
