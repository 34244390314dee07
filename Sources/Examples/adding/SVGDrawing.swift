import ExampleSupport
import Foundation

/// Two charts, one above the other, as an SVG file.
struct SVGDrawing {
    private static let width = 920.0
    private static let height = 880.0
    private static let panelHeight = 310.0

    /// The charts, which share their steps.
    let charts: [Chart]

    /// The file's text.
    var text: String {
        let panels = charts.enumerated().flatMap { index, chart in
            SVGPanel(
                chart: chart, left: 78, top: 136 + Double(index) * (Self.panelHeight + 72),
                width: Self.width - 78 - 30, height: Self.panelHeight
            ).elements
        }
        let size = "width=\"\(Int(Self.width))\" height=\"\(Int(Self.height))\""
        let opening =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" \(size) viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" "
            + "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"13\" fill=\"#222222\">"
        let background = "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
        let heading = [
            SVG.text(
                "One step from the cliff: the adding problem", x: 78, y: 36, "font-size=\"20\" font-weight=\"bold\""),
            SVG.text(
                "\(RecurrentNetwork.unitCount) recurrent ReLU units over \(AddingProblem.length) steps. Lines: medians; "
                    + "bands: from the smallest to the largest of the steps at one place.",
                x: 78, y: 58, "fill=\"#555555\""),
        ]
        return ([opening, background] + heading + legend + panels + ["</svg>", ""]).joined(separator: "\n")
    }

    private var legend: [String] {
        var x = 78.0
        return (charts.first?.curves ?? []).flatMap { curve in
            defer { x += 66 + 6.6 * Double(curve.name.count) }
            return [
                SVG.path([(x, 82), (x + 28, 82)], curve.style),
                SVG.text(curve.name, x: x + 36, y: 86.5, ""),
            ]
        }
    }
}
