import CDescentKernels
import DescentCore

@testable import DescentSIMD

// Sums of powers of scaled magnitudes, in the order of all reductions.

extension ReferenceKernels {
    /// Adds up powers of magnitudes, each scaled before.
    static func sumOfPowers(
        _ source: UnsafePointer<Float>, count: Int, minus mean: Float, _ power: descent_power
    ) -> Double {
        reduce(source, count: count, mean: mean) { sum, values in
            var powers = Lanes()
            for lane in 0..<16 {
                let scaled = values[lane].magnitude * power.scale
                guard scaled >= power.smallest else { continue }
                powers[lane] = power.exponent > 0 ? raise(scaled, to: power.exponent) : raise(scaled, to: power)
            }
            return sum + powers
        }
    }

    /// A whole power, by repeated squaring from the lowest bit.
    private static func raise(_ x: Float, to exponent: Int32) -> Float {
        var (result, square, exponent) = (1 as Float, x, exponent)
        while true {
            if exponent & 1 == 1 { result *= square }
            exponent >>= 1
            if exponent == 0 { return result }
            square *= square
        }
    }

    /// Any power of x = 2^e * (1 + t): 2^(p * e + p * log2(1 + t)).
    private static func raise(_ x: Float, to power: descent_power) -> Float {
        let exponent = (Int32(bitPattern: x.bitPattern) - 0x3f35_04f3) >> 23
        let t = Float(bitPattern: x.bitPattern &- UInt32(bitPattern: exponent << 23)) - 1
        let square = t * t
        let low = (0x1.715474p+0 + t * -0x1.715528p-1) + square * (0x1.ec7724p-2 + t * -0x1.70e2a8p-2)
        let high = (0x1.25fd34p-2 + t * -0x1.fdb32cp-3) + square * (0x1.df51a4p-3 + t * -0x1.2a9f5p-3)
        let logarithm = t * (low + (square * square) * high)
        let e = Float(exponent)
        let product = power.high * e
        let rest = (power.high + power.low) * logarithm + power.low * e
        let whole = (product + rest).rounded(.toNearestOrEven)
        let f = (product - whole) + rest
        let fSquare = f * f
        let upper = (0x1.3b2d4cp-7 + f * 0x1.5f3e54p-10) + fSquare * 0x1.41fbbcp-13
        let result = (1 + f * 0x1.62e43p-1) + fSquare * ((0x1.ebfbdcp-3 + f * 0x1.c6aee8p-5) + fSquare * upper)
        return Float(bitPattern: result.bitPattern &+ UInt32(bitPattern: Int32(whole) << 23))
    }
}
