import ExampleSupport

/// A chart in an SVG file: axes, ticks, and a line of medians in a band from the smallest to the largest number.
struct SVGPanel {
    private static let binCount = 160
    private static let levelStroke = "stroke=\"#555555\" stroke-dasharray=\"2 4\""

    /// What to draw.
    let chart: Chart
    /// The left end of the plot.
    let left: Double
    /// The upper end of the plot.
    let top: Double
    /// The width of the plot.
    let width: Double
    /// The height of the plot.
    let height: Double

    /// What the panel is made of.
    var elements: [String] {
        [SVG.text(chart.title, x: left, y: top - 14, "font-size=\"14\" font-weight=\"bold\"")]
            + grid + chart.curves.reversed().flatMap(bands) + level + chart.curves.reversed().flatMap(lines) + frame
    }

    /// Where a step lies.
    private func x(_ step: Double) -> Double { left + width * Chart.steps.position(of: step) }

    /// Where a number lies.
    private func y(_ number: Double) -> Double { top + height * (1 - chart.axis.position(of: number)) }

    private var grid: [String] {
        let numbers = chart.axis.labeledDecades.flatMap { exponent in
            let y = y(LogarithmicAxis.power(exponent))
            return [
                SVG.line((left - 5, y), (left + width, y), "stroke=\"#e6e6e6\""),
                SVG.line((left - 5, y), (left, y), "stroke=\"#444444\""),
                SVG.powerOfTen(exponent, x: left - 9, y: y + 5),
            ]
        }
        let steps = Chart.labeledSteps.flatMap { step in
            let x = x(Double(step))
            return [
                SVG.line((x, top), (x, top + height + 5), "stroke=\"#e6e6e6\""),
                SVG.line((x, top + height), (x, top + height + 5), "stroke=\"#444444\""),
                SVG.text("\(step)", x: x, y: top + height + 20, "text-anchor=\"middle\""),
            ]
        }
        return numbers + steps + [
            SVG.text("step", x: left + width / 2, y: top + height + 36, "text-anchor=\"middle\" fill=\"#555555\"")
        ]
    }

    private var frame: [String] {
        [
            SVG.line((left, top), (left, top + height), "stroke=\"#444444\""),
            SVG.line((left, top + height), (left + width, top + height), "stroke=\"#444444\""),
        ]
    }

    private var level: [String] {
        let y = y(chart.level.number)
        return [
            SVG.line((left, y), (left + width, y), Self.levelStroke),
            SVG.line((left + width - 24, top - 18.5), (left + width, top - 18.5), Self.levelStroke),
            SVG.text(chart.level.name, x: left + width - 32, y: top - 14, "text-anchor=\"end\" fill=\"#555555\""),
        ]
    }

    /// From the smallest to the largest number at each place.
    private func bands(_ curve: Curve) -> [String] {
        let bins = curve.bins(Self.binCount, along: Chart.steps)
        let upper = bins.map { (x($0.step), y($0.high)) }
        let lower = bins.reversed().map { (x($0.step), y($0.low)) }
        return [SVG.area(upper + lower, curve.style)]
    }

    /// The median at each place, and why the curve ends.
    private func lines(_ curve: Curve) -> [String] {
        let bins = curve.bins(Self.binCount, along: Chart.steps)
        let points = bins.map { (x($0.step), y($0.median)) }
        guard let ending = curve.ending, let last = points.last else { return [SVG.path(points, curve.style)] }
        return [
            SVG.path(points, curve.style),
            SVG.text(ending, x: last.0 + 8, y: last.1 + 17, "fill=\"\(curve.style.color)\""),
        ]
    }
}
