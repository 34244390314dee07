/// How a curve looks, in a terminal and in a drawing.
package struct CurveStyle: Sendable {
    /// What draws it in a terminal.
    package let mark: Character
    /// The number of its color in a terminal, from 0 to 7.
    package let terminalColor: Int
    /// Its color in a drawing; the colors can be told apart by people who are blind to some.
    package let color: String
    /// The lengths of its dashes and gaps in a drawing; nil for a solid line.
    package let dashes: String?

    /// Describes a style.
    package init(mark: Character, terminalColor: Int, color: String, dashes: String? = nil) {
        (self.mark, self.terminalColor) = (mark, terminalColor)
        (self.color, self.dashes) = (color, dashes)
    }
}
