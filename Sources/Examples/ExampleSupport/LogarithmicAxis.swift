import Foundation

/// An axis on which equal distances are equal factors.
package struct LogarithmicAxis {
    /// The smallest number on it, above 0.
    package let lowest: Double
    /// The largest number on it, above the smallest.
    package let highest: Double

    /// An axis between two numbers.
    package init(from lowest: Double, to highest: Double) {
        self.lowest = lowest
        self.highest = highest
    }

    /// An axis of whole decades that some numbers lie on.
    ///
    /// - Parameter numbers: The numbers; only those that are finite and above 0 count.
    package init(covering numbers: [Double]) {
        let exponents = numbers.filter { $0.isFinite && $0 > 0 }.map(log10)
        let first = Int((exponents.min() ?? 0).rounded(.down))
        let last = Int((exponents.max() ?? 0).rounded(.up))
        self.init(from: Self.power(first), to: Self.power(max(last, first + 1)))
    }

    /// Where a number lies, from 0 to 1; beyond the ends at the end, and infinity at 1.
    package func position(of number: Double) -> Double {
        guard number > 0 else { return 0 }
        return min(1, max(0, log10(number / lowest) / log10(highest / lowest)))
    }

    /// The exponents of the powers of ten that are labeled, of which there are at most seven.
    package var labeledDecades: [Int] {
        let first = Int(log10(lowest).rounded(.up))
        let last = Int(log10(highest).rounded(.down))
        return Array(stride(from: first, through: last, by: (last - first + 5) / 6))
    }

    /// A power of ten.
    package static func power(_ exponent: Int) -> Double { pow(10, Double(exponent)) }
}
