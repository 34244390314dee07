import DescentCore

/// A sum of p-th powers that does not leave Double's range: relative to the p-th power of a power of two.
///
/// Parts are added in the order in which they are given, so that the bits depend on nothing else.
struct PowerSum {
    private let p: Double
    /// How far exponents are apart that parts may be relative to.
    private let step: Int
    private var sum = 0.0
    private var exponent = 0
    /// How far apart two exponents were last, and what that meant, for parts that alternate.
    private var lastDistance = 0
    private var lastFactor = 1.0

    /// Starts with nothing, for a power from 1/2 to 96.
    ///
    /// Exponents are as far apart as leaves powers below 2^96, so that most parts have the same.
    init(_ p: Double) {
        self.p = p
        step = p <= 6 ? 16 : p <= 12 ? 8 : p <= 24 ? 4 : p <= 48 ? 2 : 1
    }

    /// The exponent that a part is to be relative to whose largest magnitude has another.
    func exponent(below exponent: Int) -> Int { exponent & -step }

    /// Adds a sum of powers of magnitudes, each divided by 2^exponent before.
    mutating func add(_ part: Double, exponent other: Int) {
        guard part > 0 else { return }
        if sum == 0 || other == exponent {
            sum += part
            exponent = other
        } else if other < exponent {
            sum += part * factor(exponent - other)
        } else {
            sum = sum * factor(other - exponent) + part
            exponent = other
        }
    }

    /// Adds a part by its norm, which is finite.
    mutating func add(norm: Double) {
        guard norm > 0 else { return }
        let exponent = exponent(below: Int(norm.exponent))
        add(
            ReproducibleMath.power(norm * Double(sign: .plus, exponent: -exponent, significand: 1), p),
            exponent: exponent)
    }

    /// The p-th root of the sum.
    var norm: Double {
        sum == 0
            ? 0 : ReproducibleMath.power(sum, 1 / p) * Double(sign: .plus, exponent: exponent, significand: 1)
    }

    /// 2^(-p * distance).
    private mutating func factor(_ distance: Int) -> Double {
        if distance != lastDistance {
            lastDistance = distance
            lastFactor = ReproducibleMath.exponentialBase2(-p * Double(distance))
        }
        return lastFactor
    }
}
