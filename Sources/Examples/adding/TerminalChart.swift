import ExampleSupport

/// A chart in characters, 80 columns wide: in each column the median of the steps that fall on it.
struct TerminalChart {
    private static let columnCount = 71
    private static let rowCount = 16

    /// What to draw.
    let chart: Chart
    /// Whether to color marks as a terminal does.
    let isColored: Bool

    /// The chart, from top to bottom.
    var lines: [String] {
        let labels = rowLabels
        let rows = marks.enumerated().map { row, marks in
            let label = labels[row] ?? ""
            let padding = String(repeating: " ", count: 6 - label.count)
            return padding + label + (label.isEmpty ? " │" : " ┤") + marks.joined()
        }
        return [chart.title + "   ╌╌ " + chart.level.name] + rows + stepAxis
    }

    /// Which mark is which curve's.
    var legend: [String] {
        chart.curves.map { curve in
            "  " + paint(curve.style) + " " + curve.name + (curve.ending.map { " (\($0): upper edge)" } ?? "")
        }
    }

    /// What stands at each place, row by row.
    private var marks: [[String]] {
        var marks = [[String]](repeating: [String](repeating: " ", count: Self.columnCount), count: Self.rowCount)
        marks[row(of: chart.level.number)] = [String](repeating: "╌", count: Self.columnCount)
        for curve in chart.curves.reversed() {
            for bin in curve.bins(Self.columnCount, along: Chart.steps) {
                marks[row(of: bin.median)][bin.place] = paint(curve.style)
            }
        }
        return marks
    }

    private var rowLabels: [Int: String] {
        let labels = chart.axis.labeledDecades.map { (row(of: LogarithmicAxis.power($0)), Self.powerOfTen($0)) }
        return Dictionary(labels) { first, _ in first }
    }

    private var stepAxis: [String] {
        var line = [Character](repeating: "─", count: Self.columnCount)
        var labels = [Character](repeating: " ", count: Self.columnCount + 1)
        for step in Chart.labeledSteps {
            let column = Int((Chart.steps.position(of: Double(step)) * Double(Self.columnCount - 1)).rounded())
            line[column] = "┬"
            let label = Array("\(step)")
            let start = min(column, labels.count - label.count)
            labels.replaceSubrange(start..<start + label.count, with: label)
        }
        return ["       └" + String(line), "  step  " + String(labels)]
    }

    /// The row that a number falls on, from the top.
    private func row(of number: Double) -> Int {
        Int(((1 - chart.axis.position(of: number)) * Double(Self.rowCount - 1)).rounded())
    }

    /// A curve's mark, colored if wanted.
    private func paint(_ style: CurveStyle) -> String {
        isColored ? "\u{1b}[3\(style.terminalColor)m\(style.mark)\u{1b}[0m" : "\(style.mark)"
    }

    /// A power of ten as characters show it: 10⁻³.
    private static func powerOfTen(_ exponent: Int) -> String {
        let raised: [Character: Character] = [
            "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸",
            "9": "⁹",
        ]
        return "10" + String("\(exponent)".compactMap { raised[$0] })
    }
}
