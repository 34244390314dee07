import Foundation

/// Numbers as the tables show them; what does not apply is a dash.
enum Cell {
    /// A share in percent.
    static func share(_ share: Double?) -> String { number(share.map { $0 * 100 }, "%.1f %%") }

    /// A number in a format of C's.
    static func number(_ number: Double?, _ format: String) -> String {
        number.map { String(format: format, $0) } ?? "-"
    }

    /// A loss scale, as a power of two where it is one.
    static func scale(_ scale: Float) -> String {
        scale.significand == 1 && scale > 1 ? "2^\(scale.exponent)" : number(Double(scale), "%g")
    }
}
