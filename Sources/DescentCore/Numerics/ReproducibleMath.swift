public import CDescentMath

/// The elementary functions that schedules and bias corrections need, made of IEEE arithmetic alone.
///
/// The C library's `pow` and `cos` differ in their last bits from one system to the next. These are slower, called a
/// few times a step, and give the same bits wherever Swift runs.
public enum ReproducibleMath {
    /// The square root, correctly rounded; NaN for a number below 0.
    ///
    /// It is what `squareRoot()` gives, but a loop of it can be turned into vectors on every platform.
    @inlinable
    public static func squareRoot(_ value: Float) -> Float { descent_square_root(value) }

    /// The base raised to a whole power of at least 0, by repeated squaring.
    ///
    /// - Complexity: O(log `exponent`).
    public static func power(_ base: Double, _ exponent: Int) -> Double {
        stopUnless(exponent >= 0, "power(_:_:) takes no whole exponent below 0.")
        var result = 1.0
        var square = base
        var remaining = exponent
        while remaining > 0 {
            if remaining & 1 == 1 { result *= square }
            square *= square
            remaining >>= 1
        }
        return result
    }

    /// The base raised to any power, as exp2(exponent * log2(base)).
    ///
    /// The relative error is about 2e-16 times (1 + the magnitude of exponent * log2(base)).
    ///
    /// - Parameters:
    ///   - base: At least 0; 0 gives 0 for a positive exponent.
    ///   - exponent: A finite number.
    /// - Returns: The power; NaN for a negative base.
    public static func power(_ base: Double, _ exponent: Double) -> Double {
        if exponent == 0 || base == 1 { return 1 }
        if base == 0 { return exponent > 0 ? 0 : .infinity }
        if !(base > 0) { return .nan }
        if base == .infinity { return exponent > 0 ? .infinity : 0 }
        return exponentialBase2(exponent * logarithmBase2(base))
    }

    /// The cosine of a number of half turns: cos(pi * x), for x from 0 to 1.
    public static func cosine(halfTurns x: Double) -> Double {
        let folded = x > 0.5 ? 1 - x : x
        let angle = folded * Double.pi
        let square = angle * angle
        // Taylor's series on [0, pi/2]: the first term left out is below 1e-19.
        var term = 1.0
        var sum = 1.0
        for k in stride(from: 2.0, through: 24.0, by: 2.0) {
            term *= -square / (k * (k - 1))
            sum += term
        }
        return x > 0.5 ? -sum : sum
    }

    /// The logarithm to base 2 of a positive, finite number.
    public static func logarithmBase2(_ x: Double) -> Double {
        var exponent = Double(x.exponent)
        var significand = x.significand
        if significand > 1.4142135623730951 {
            significand /= 2
            exponent += 1
        }
        // log(s) = 2 artanh((s - 1) / (s + 1)), whose argument is at most 0.172.
        let argument = (significand - 1) / (significand + 1)
        let square = argument * argument
        var power = argument
        var sum = 0.0
        for k in stride(from: 1.0, through: 23.0, by: 2.0) {
            sum += power / k
            power *= square
        }
        return exponent + 2 * sum * 1.4426950408889634
    }

    /// Two raised to a power; 0 below the range of Double and infinity above it.
    public static func exponentialBase2(_ x: Double) -> Double {
        if x >= 1024 { return .infinity }
        if x < -1074 { return 0 }
        let whole = x.rounded()
        let argument = (x - whole) * 0.6931471805599453
        var term = 1.0
        var sum = 1.0
        for k in stride(from: 1.0, through: 18.0, by: 1.0) {
            term *= argument / k
            sum += term
        }
        // Scale in two steps: 2^whole alone may lie outside the normal range.
        let half = (whole / 2).rounded(.down)
        return sum * Double(sign: .plus, exponent: Int(half), significand: 1)
            * Double(sign: .plus, exponent: Int(whole - half), significand: 1)
    }
}
