import DescentCore

@testable import DescentSIMD

// Units that are the last dimension, and averages: one element after the other.

extension ReferenceKernels {
    /// The sum of a unit's elements, or of their squares.
    ///
    /// Every 256 segments the float sum moves on to Double.
    private static func sum(_ unit: [Float], squares: Bool) -> Double {
        stride(from: 0, to: unit.count, by: 256).reduce(0) { total, first in
            total + Double(unit[first..<min(first + 256, unit.count)].reduce(0) { $0 + (squares ? $1 * $1 : $1) })
        }
    }

    private static func normInDouble(_ unit: [Float]) -> Double {
        unit.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }

    /// The mean of a unit.
    static func mean(ofUnit unit: [Float]) -> Float {
        let sum = sum(unit, squares: false)
        return Float((sum.isFinite ? sum : unit.reduce(0) { $0 + Double($1) }) / Double(unit.count))
    }

    /// What a unit is multiplied by to clip it by the norm of the parameter's.
    static func scale(
        ofUnit unit: [Float], by parameters: [Float], factor: Float, minimumNorm: Float, epsilon: Float
    ) -> Float {
        var norm = sum(unit, squares: true).squareRoot()
        // Squares that left the range of float, or came near its end, are made again in Double.
        if !norm.isFinite || norm < 0x1p-50 { norm = normInDouble(unit) }
        var size = sum(parameters, squares: true).squareRoot()
        if !size.isFinite { size = normInDouble(parameters) }
        let limit = Double(factor) * max(size, Double(minimumNorm))
        return norm >= limit ? Float(limit / max(norm, Double(epsilon))) : 1
    }
}
