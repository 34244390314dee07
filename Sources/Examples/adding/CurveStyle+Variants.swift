import ExampleSupport

extension CurveStyle {
    // Colors by Okabe and Ito, but for the last, which is darker than theirs.
    static let clipped = CurveStyle(mark: "●", terminalColor: 4, color: "#0072b2")
    static let accumulated = CurveStyle(mark: "○", terminalColor: 2, color: "#009e73", dashes: "5 3")
    static let unclipped = CurveStyle(mark: "+", terminalColor: 1, color: "#d55e00")
    static let plain = CurveStyle(mark: "×", terminalColor: 5, color: "#a0307c")
}
