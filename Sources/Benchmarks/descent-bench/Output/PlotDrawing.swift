import ExampleSupport
import Foundation

/// A plot as an SVG file: both axes logarithmic, the number of elements from left to right.
struct PlotDrawing {
    private static let (width, height) = (920.0, 560.0)
    private static let (left, top) = (78.0, 128.0)
    private static let (plotWidth, plotHeight) = (812.0, 360.0)
    private static let faint = "stroke=\"#e6e6e6\""
    private static let dark = "stroke=\"#444444\""

    // Colors by Okabe and Ito; the last is darker than theirs.
    private static let styles = [
        CurveStyle(mark: "●", terminalColor: 4, color: "#0072b2"),
        CurveStyle(mark: "-", terminalColor: 0, color: "#555555", dashes: "2 4"),
        CurveStyle(mark: "+", terminalColor: 1, color: "#d55e00"),
        CurveStyle(mark: "○", terminalColor: 2, color: "#009e73"),
        CurveStyle(mark: "×", terminalColor: 5, color: "#a0307c"),
        CurveStyle(mark: "◇", terminalColor: 3, color: "#b58900"),
        CurveStyle(mark: "△", terminalColor: 6, color: "#56b4e9"),
    ]

    private let plot: Plot
    private let sizes: LogarithmicAxis
    private let times: LogarithmicAxis

    /// Draws a plot.
    init(_ plot: Plot) {
        self.plot = plot
        let points = plot.curves.flatMap(\.points)
        sizes = LogarithmicAxis(covering: points.map { Double($0.elements) })
        times = LogarithmicAxis(covering: points.map(\.nanosecondsPerElement))
    }

    /// The file's text.
    var text: String {
        let size = "width=\"\(Int(Self.width))\" height=\"\(Int(Self.height))\""
        let opening =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" \(size) viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" "
            + "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"13\" fill=\"#222222\">"
        let background = "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
        return ([opening, background] + heading + legend + grid + lines.reversed() + ["</svg>", ""])
            .joined(separator: "\n")
    }

    private var heading: [String] {
        let title = SVG.text(
            "Unscale, centralize, clip, AdamW: nanoseconds for each element",
            x: Self.left, y: 34, "font-size=\"17\" font-weight=\"bold\"")
        let machines = [plot.machine] + (plot.peersMachine.map { Self.lines("Peers: \($0)") } ?? [])
        return [title]
            + machines.enumerated().map { index, machine in
                SVG.text(machine, x: Self.left, y: 54 + 16 * Double(index), "font-size=\"11\" fill=\"#555555\"")
            }
    }

    /// A list as lines that are no wider than the plot.
    private static func lines(_ list: String) -> [String] {
        list.components(separatedBy: "; ").reduce(into: []) { lines, part in
            if let last = lines.last, last.count + part.count < 120 {
                lines[lines.count - 1] = "\(last); \(part)"
            } else {
                lines.append(part)
            }
        }
    }

    private var legend: [String] {
        var x = Self.left
        return styledCurves.flatMap { curve, style in
            defer { x += 62 + 6.8 * Double(curve.name.count) }
            return [
                SVG.path([(x, 108), (x + 28, 108)], style),
                SVG.text(curve.name, x: x + 36, y: 112.5, ""),
            ]
        }
    }

    private var grid: [String] {
        let (right, bottom) = (Self.left + Self.plotWidth, Self.top + Self.plotHeight)
        let vertical = sizes.labeledDecades.flatMap { exponent in
            let x = x(LogarithmicAxis.power(exponent))
            return [
                SVG.line((x, Self.top), (x, bottom + 5), Self.faint),
                SVG.line((x, bottom), (x, bottom + 5), Self.dark),
                SVG.powerOfTen(exponent, x: x, y: bottom + 22, anchor: "middle"),
            ]
        }
        let horizontal = times.labeledDecades.flatMap { exponent in
            let y = y(LogarithmicAxis.power(exponent))
            return [
                SVG.line((Self.left - 5, y), (right, y), Self.faint),
                SVG.line((Self.left - 5, y), (Self.left, y), Self.dark),
                SVG.powerOfTen(exponent, x: Self.left - 9, y: y + 5),
            ]
        }
        return vertical + horizontal + [
            SVG.line((Self.left, Self.top), (Self.left, bottom), Self.dark),
            SVG.line((Self.left, bottom), (right, bottom), Self.dark),
            SVG.text(
                "elements of all parameters", x: Self.left + Self.plotWidth / 2, y: bottom + 44,
                "text-anchor=\"middle\" fill=\"#555555\""),
        ]
    }

    private var lines: [String] {
        styledCurves.map { curve, style in
            SVG.path(curve.points.map { (x(Double($0.elements)), y($0.nanosecondsPerElement)) }, style)
        }
    }

    /// With so many curves that styles do not suffice, the first ones' come again.
    private var styledCurves: [(Plot.Curve, CurveStyle)] {
        plot.curves.enumerated().map { ($1, Self.styles[$0 % Self.styles.count]) }
    }

    private func x(_ elements: Double) -> Double { Self.left + Self.plotWidth * sizes.position(of: elements) }

    private func y(_ time: Double) -> Double { Self.top + Self.plotHeight * (1 - times.position(of: time)) }
}
