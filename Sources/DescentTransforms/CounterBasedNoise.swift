import DescentCore

/// Philox 4x32-10: four random words that depend on a counter and a key, and on nothing else.
///
/// Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
enum Philox {
    static func generate(counter: SIMD4<UInt32>, key: UInt64) -> SIMD4<UInt32> {
        var counter = counter
        var low = UInt32(truncatingIfNeeded: key)
        var high = UInt32(truncatingIfNeeded: key >> 32)
        for _ in 0..<10 {
            let first = UInt64(counter.x) * 0xD251_1F53
            let second = UInt64(counter.z) * 0xCD9E_8D57
            counter = SIMD4(
                UInt32(truncatingIfNeeded: second >> 32) ^ counter.y ^ low, UInt32(truncatingIfNeeded: second),
                UInt32(truncatingIfNeeded: first >> 32) ^ counter.w ^ high, UInt32(truncatingIfNeeded: first))
            low &+= 0x9E37_79B9
            high &+= 0xBB67_AE85
        }
        return counter
    }
}

/// The quantile function of the standard normal distribution.
///
/// Rational approximations of Wichura, "Algorithm AS 241" (1988), PPND7: about seven digits, and the same bits
/// everywhere.
enum GaussianQuantile {
    /// The quantile of a uniform number that 32 random bits stand for, never infinite.
    static func value(_ bits: UInt32) -> Float {
        let uniform = (Double(bits) + 0.5) * 0x1p-32
        let q = uniform - 0.5
        if abs(q) <= 0.425 {
            let r = 0.180625 - q * q
            let numerator = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179
            let denominator = ((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1
            return Float(q * numerator / denominator)
        }
        let tail = q < 0 ? uniform : 1 - uniform
        let r = (-ReproducibleMath.logarithmBase2(tail) * 0.6931471805599453).squareRoot()
        let value: Double
        if r <= 5 {
            let s = r - 1.6
            value =
                (((0.17023821103 * s + 1.3067284816) * s + 2.7568153900) * s + 1.4234372777)
                / ((0.12021132975 * s + 0.73700164250) * s + 1)
        } else {
            let s = r - 5
            value =
                (((0.017337203997 * s + 0.42868294337) * s + 3.0812263860) * s + 6.6579051150)
                / ((0.012258202635 * s + 0.24197894225) * s + 1)
        }
        return Float(q < 0 ? -value : value)
    }
}
