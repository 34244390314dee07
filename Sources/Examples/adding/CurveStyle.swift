/// How a curve looks, in a terminal and in a drawing.
struct CurveStyle: Sendable {
    /// What draws it in a terminal.
    let mark: Character
    /// The number of its color in a terminal, from 0 to 7.
    let terminalColor: Int
    /// Its color in a drawing; the colors can be told apart by people who are blind to some.
    let color: String
    /// The lengths of its dashes and gaps in a drawing; nil for a solid line.
    var dashes: String?

    // Colors by Okabe and Ito, but for the last, which is darker than theirs.
    static let clipped = CurveStyle(mark: "●", terminalColor: 4, color: "#0072b2")
    static let accumulated = CurveStyle(mark: "○", terminalColor: 2, color: "#009e73", dashes: "5 3")
    static let unclipped = CurveStyle(mark: "+", terminalColor: 1, color: "#d55e00")
    static let plain = CurveStyle(mark: "×", terminalColor: 5, color: "#a0307c")
}
