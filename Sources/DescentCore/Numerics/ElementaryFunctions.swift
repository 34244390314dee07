public import CDescentMath

/// Elementary functions of float32 numbers, for the loops of stages and optimizers.
///
/// They are inlined, have no branches and call no library, so that the compiler turns a plain loop of them into vectors:
/// ```swift
/// block.transformEach { $0 = ReproducibleMath.tanh($0) }
/// ```
/// Each is computed in Double and rounded once, which gives the same bits on every machine and errors just above half a
/// unit in the last place. NaN gives the one NaN that is `Float.nan`.
extension ReproducibleMath {
    /// e^x, with an error below 0.501 units in the last place.
    ///
    /// - Parameter x: Any number. -infinity gives 0, infinity infinity, and NaN NaN; above 88.72 the result is infinity,
    ///   and below -103.97 it is 0.
    /// - Returns: e^x, subnormal results included.
    @inlinable @inline(__always)
    public static func exponential(_ x: Float) -> Float {
        let result = Float(exponentialInDouble(Double(x)))
        return descent_select_float(x == x, result, .nan)
    }

    /// The natural logarithm, with an error below 0.501 units in the last place.
    ///
    /// - Parameter x: Any number. 0 and -0 give -infinity, infinity infinity; NaN and numbers below 0 give NaN.
    /// - Returns: log(x), exact to the same error around 1 and for subnormal numbers.
    @inlinable @inline(__always)
    public static func logarithm(_ x: Float) -> Float {
        let bits = Double(x).bitPattern
        // x = 2^(exponent - 1023) * significand, with the significand from the root of 1/2 to that of 2.
        let exponent = (bits &+ 0x0009_5f62_0000_0000) &>> 52
        let significand = Double(bitPattern: bits &- ((exponent &- 1023) &<< 52))
        // The exponent as a number: as the last bits of 2^52 + exponent.
        let power = Double(bitPattern: exponent | 0x4330_0000_0000_0000) - 0x1p52 - 1023
        // log(s) = 2 artanh((s - 1) / (s + 1)), whose argument is at most 0.172.
        let argument = (significand - 1) / (significand + 1)
        let square = argument * argument
        let last = 1.0 / 7 + square * (1.0 / 9 + square * (1.0 / 11))
        let series = square * (1.0 / 3 + square * (1.0 / 5 + square * last))
        let finite = Float(power * 0.6931471805599453 + 2 * (argument + argument * series))
        let positive = descent_select_float(x == .infinity, .infinity, finite)
        return descent_select_float(x > 0, positive, descent_select_float(x == 0, -.infinity, .nan))
    }

    /// The hyperbolic tangent, with an error below 0.501 units in the last place; odd to the bit.
    ///
    /// - Parameter x: Any number. 0 and -0 give themselves, the infinities 1 and -1, NaN NaN.
    /// - Returns: tanh(x), in -1...1.
    @inlinable @inline(__always)
    public static func tanh(_ x: Float) -> Float {
        let magnitude = Double(x.magnitude)
        let doubled = 2 * descent_select_double(magnitude < 10, magnitude, 10)
        // e^u - 1 = 2^n * (e^r - 1) + (2^n - 1), which keeps its digits where u is small.
        let (power, remainder) = reducedExponent(doubled)
        let minusOne = power * exponentialMinusOne(remainder) + (power - 1)
        let result = Float(minusOne / (minusOne + 2))
        let signed = Float(bitPattern: result.bitPattern | (x.bitPattern & 0x8000_0000))
        return descent_select_float(x == x, signed, .nan)
    }

    /// The logistic function 1 / (1 + e^-x), with an error below 0.501 units in the last place.
    ///
    /// - Parameter x: Any number. -infinity gives 0, infinity 1, NaN NaN; below -103.97 the result is 0.
    /// - Returns: The value, in 0...1, subnormal ones included.
    @inlinable @inline(__always)
    public static func sigmoid(_ x: Float) -> Float {
        let result = Float(1 / (1 + exponentialInDouble(-Double(x))))
        return descent_select_float(x == x, result, .nan)
    }

    /// The largest magnitude of an angle whose sine and cosine are computed: 2^26, or 67,108,864.
    @inlinable public static var largestAngle: Float { 0x1p26 }

    /// The sine of an angle in radians, with an error below 0.501 units in the last place; odd to the bit.
    ///
    /// - Parameter angle: The angle, of a magnitude up to ``largestAngle``. Larger ones, infinities and NaN give NaN:
    ///   neighbouring float32 numbers are 8 apart there, so that the sine of one says nothing.
    /// - Returns: sin(angle); 0 and -0 give themselves.
    @inlinable @inline(__always)
    public static func sine(_ angle: Float) -> Float {
        let (quadrant, remainder) = reducedAngle(Double(angle.magnitude))
        // In odd quadrants, the sine is a cosine; in the second two of four, it is negative.
        let value = descent_select_double(
            quadrant.magnitude == 1, cosineSeries(remainder), sineSeries(remainder))
        let result = Float(descent_select_double((quadrant - 0.5).magnitude > 1, -value, value))
        let signed = Float(bitPattern: result.bitPattern ^ (angle.bitPattern & 0x8000_0000))
        return descent_select_float(angle.magnitude <= largestAngle, signed, .nan)
    }

    /// The cosine of an angle in radians, with an error below 0.501 units in the last place; even to the bit.
    ///
    /// - Parameter angle: The angle, of a magnitude up to ``largestAngle``. Larger ones, infinities and NaN give NaN:
    ///   neighbouring float32 numbers are 8 apart there, so that the cosine of one says nothing.
    /// - Returns: cos(angle).
    @inlinable @inline(__always)
    public static func cosine(_ angle: Float) -> Float {
        let (quadrant, remainder) = reducedAngle(Double(angle.magnitude))
        // In odd quadrants, the cosine is a sine; in the middle two of four, it is negative.
        let value = descent_select_double(
            quadrant.magnitude == 1, sineSeries(remainder), cosineSeries(remainder))
        let result = Float(descent_select_double((quadrant + 0.5).magnitude > 1, -value, value))
        return descent_select_float(angle.magnitude <= largestAngle, result, .nan)
    }
}

// MARK: - Parts, in Double

extension ReproducibleMath {
    /// The nearest whole number, for magnitudes up to 2^51: beyond 1.5 * 2^52, a Double has no digits after the point.
    @inlinable @inline(__always)
    static func nearestWhole(_ x: Double) -> Double { (x + 0x1.8p52) - 0x1.8p52 }

    /// 2^n and r such that e^x = 2^n * e^r, with r in magnitude up to half of log(2); for x from -120 to 120.
    @inlinable @inline(__always)
    static func reducedExponent(_ x: Double) -> (power: Double, remainder: Double) {
        let shifted = x * 1.4426950408889634 + 0x1.8p52
        let whole = shifted - 0x1.8p52
        // The last bits of the shifted number are n, and the others leave the register.
        let power = Double(bitPattern: (shifted.bitPattern &+ 1023) &<< 52)
        return (power, x - whole * 0.6931471805599453)
    }

    /// e^r - 1 for r in magnitude up to half of log(2): Taylor's series, whose first term left out is below 1e-10 of it.
    @inlinable @inline(__always)
    static func exponentialMinusOne(_ r: Double) -> Double {
        let last = 1.0 / 720 + r * (1.0 / 5_040 + r * (1.0 / 40_320 + r * (1.0 / 362_880)))
        let series = 1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r * last))
        return r + r * r * (0.5 + r * series)
    }

    /// e^x, for any x that is not NaN; beyond 110 in magnitude, where float32 overflows, as at 110.
    @inlinable @inline(__always)
    static func exponentialInDouble(_ x: Double) -> Double {
        let limited = descent_select_double(x > 110, 110, descent_select_double(x < -110, -110, x))
        let (power, remainder) = reducedExponent(limited)
        return power * (1 + exponentialMinusOne(remainder))
    }

    /// The quadrant of an angle, as a whole number from -2 to 2, and what is left of it, up to pi/4 in magnitude; for
    /// angles from 0 to 2^26.
    @inlinable @inline(__always)
    static func reducedAngle(_ angle: Double) -> (quadrant: Double, remainder: Double) {
        let turns = nearestWhole(angle * 0.6366197723675814)
        // pi/2 in three parts, of which the first two have 25 bits, so that their multiples are exact.
        let remainder = ((angle - turns * 0x1.921fb5p0) - turns * 0x1.110b46p-26) - turns * 0x1.1a62633145c07p-54
        return (turns - 4 * nearestWhole(turns * 0.25), remainder)
    }

    /// The sine of an angle up to pi/4 in magnitude: Taylor's series, whose first term left out is below 1e-11 of it.
    @inlinable @inline(__always)
    static func sineSeries(_ x: Double) -> Double {
        let square = x * x
        let series = 1.0 / 120 - square * (1.0 / 5_040 - square * (1.0 / 362_880 - square * (1.0 / 39_916_800)))
        return x - x * square * (1.0 / 6 - square * series)
    }

    /// The cosine of an angle up to pi/4 in magnitude: Taylor's series, whose first term left out is below 1e-12.
    @inlinable @inline(__always)
    static func cosineSeries(_ x: Double) -> Double {
        let square = x * x
        let series = 1.0 / 720 - square * (1.0 / 40_320 - square * (1.0 / 3_628_800 - square * (1.0 / 479_001_600)))
        return 1 - square * (0.5 - square * (1.0 / 24 - square * series))
    }
}
