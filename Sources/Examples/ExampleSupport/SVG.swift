import Foundation

/// Elements of an SVG file.
package enum SVG {
    /// A line of text that starts at a point.
    package static func text(_ text: String, x: Double, y: Double, _ attributes: String) -> String {
        "<text x=\"\(number(x))\" y=\"\(number(y))\" \(attributes)>\(escaped(text))</text>"
    }

    /// A power of ten that ends at a point, or lies around it.
    package static func powerOfTen(_ exponent: Int, x: Double, y: Double, anchor: String = "end") -> String {
        "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">10"
            + "<tspan dy=\"-5\" font-size=\"9.5\">\(exponent < 0 ? "\u{2212}" : "")\(abs(exponent))</tspan></text>"
    }

    /// A straight line.
    package static func line(_ from: (Double, Double), _ to: (Double, Double), _ attributes: String) -> String {
        "<line x1=\"\(number(from.0))\" y1=\"\(number(from.1))\" x2=\"\(number(to.0))\" y2=\"\(number(to.1))\" "
            + "\(attributes)/>"
    }

    /// A line through points, in a curve's style.
    package static func path(_ points: [(Double, Double)], _ style: CurveStyle) -> String {
        let dashes = style.dashes.map { " stroke-dasharray=\"\($0)\"" } ?? ""
        return "<path d=\"\(steps(points))\" fill=\"none\" stroke=\"\(style.color)\" stroke-width=\"2\" "
            + "stroke-linejoin=\"round\"\(dashes)/>"
    }

    /// An area with points around it, in the faint color of a curve.
    package static func area(_ points: [(Double, Double)], _ style: CurveStyle) -> String {
        "<path d=\"\(steps(points))Z\" fill=\"\(style.color)\" fill-opacity=\"0.13\"/>"
    }

    /// The points as a path.
    private static func steps(_ points: [(Double, Double)]) -> String {
        points.enumerated().map { "\($0 == 0 ? "M" : "L")\(number($1.0)) \(number($1.1))" }.joined()
    }

    /// A coordinate, to a tenth.
    private static func number(_ number: Double) -> String { String(format: "%.1f", number) }

    /// Text without the characters that mean something else in XML.
    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
    }
}
