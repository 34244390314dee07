import Descent

/// A number that is known but for the rounding of arithmetic in Float.
///
/// Each operation adds what its result may be off by to what its operands are off by. So a model that computes with
/// such numbers knows by itself what may differ: the sign of a number that is 0 but for rounding, a norm at its
/// threshold. A result near the end of Float's range is off by infinity, because other orders of the same operations
/// may overflow or not.
struct Approximate {
    /// The number.
    var value: Double
    /// How far from it a result in Float may lie.
    var error: Double

    /// Numbers beyond this may overflow in Float, in one order of operations or another.
    private static let largest = 1e37
    /// What one rounding may amount to, relative to the result.
    private static let rounding = 2.4e-7
    /// What flushing a number below Float's normal range to 0 may amount to.
    private static let underflow = 2.4e-38

    init(_ value: Float) { self.init(Double(value), error: 0) }

    init(_ value: Double, error: Double = 0) {
        self.value = value
        self.error = error
    }

    /// A result of an operation, and what its operands make it be off by.
    init(rounding value: Double, _ error: Double) {
        self.init(value, error: error)
        if !value.isFinite {
            self.error = 0
        } else if value != 0 || error != 0 {
            self.error += abs(value) * Self.rounding + Self.underflow
            if !(abs(value) + self.error < Self.largest) { self.error = .infinity }
        }
    }

    /// A number made of one that is not finite, in a way that differs from engine to engine.
    static let anything = Approximate(.nan, error: .infinity)

    /// Whether it may be anything, since it is near the end of Float's range.
    var isUnknown: Bool { error == .infinity && value.isFinite }
    var isFinite: Bool { value.isFinite }
    /// Whether it may be anything, even a number that is finite.
    var isAnything: Bool { error == .infinity && !value.isFinite }

    /// Whether a result is this number; one that is not finite is any other that is not.
    func matches(_ float: Float) -> Bool { matches(Double(float)) }

    /// Whether a result is this number.
    func matches(_ result: Double) -> Bool {
        if error == .infinity { return true }
        guard value.isFinite, result.isFinite else { return !value.isFinite && !result.isFinite }
        return abs(result - value) <= 2 * error + abs(value) * 4e-7 + Self.underflow
    }

    static func + (left: Approximate, right: Approximate) -> Approximate {
        if left.isAnything || right.isAnything { return .anything }
        return Approximate(rounding: left.value + right.value, left.error + right.error)
    }

    static func - (left: Approximate, right: Approximate) -> Approximate { left + -right }

    static func * (left: Approximate, right: Approximate) -> Approximate {
        if left.isAnything || right.isAnything { return .anything }
        let error =
            (left.error == 0 ? 0 : left.error * (abs(right.value) + right.error))
            + (right.error == 0 ? 0 : abs(left.value) * right.error)
        return Approximate(rounding: left.value * right.value, error)
    }

    static func / (left: Approximate, right: Approximate) -> Approximate {
        if left.isAnything || right.isAnything { return .anything }
        let value = left.value / right.value
        guard value.isFinite, right.value.isFinite else { return Approximate(value) }
        let least = abs(right.value) - right.error
        if least <= 0 { return Approximate(value, error: .infinity) }
        return Approximate(rounding: value, (left.error + abs(value) * right.error) / least)
    }

    static prefix func - (number: Approximate) -> Approximate { Approximate(-number.value, error: number.error) }

    static func * (left: Double, right: Approximate) -> Approximate { Approximate(left) * right }

    /// The root; of 0 for a number below 0.
    var squareRoot: Approximate {
        if !value.isFinite || isUnknown { return self }
        let upper = max(0, value + error).squareRoot()
        let lower = max(0, value - error).squareRoot()
        return Approximate(rounding: max(0, value).squareRoot(), upper - lower)
    }

    /// -1, 0 or 1; any of them where it is not certain.
    var sign: Approximate {
        if value.isNaN || (value == 0 && error == 0) { return self }
        return abs(value) > 2 * error ? Approximate(value > 0 ? 1 : -1) : Approximate(0, error: 1)
    }

    /// The number moved into a range.
    func clamped(to range: ClosedRange<Double>) -> Approximate {
        guard value.isFinite else {
            return value.isNaN ? self : Approximate(value > 0 ? range.upperBound : range.lowerBound)
        }
        if isUnknown { return self }
        return Approximate(min(max(value, range.lowerBound), range.upperBound), error: error)
    }

    /// The number as it is stored in an element type.
    func stored(as type: ElementType) -> Approximate {
        if type == .float32 || !value.isFinite { return self }
        let isLarge = type == .float16 && abs(value) + error > 65_000
        return Approximate(value, error: isLarge ? .infinity : error + abs(value) * 0x1p-8 + 0x1p-24)
    }

    /// The smaller of the number and another one.
    func minimum(_ other: Double) -> Approximate {
        value - 2 * error > other ? Approximate(other) : Approximate(min(value, other), error: error)
    }

    /// The larger of two numbers.
    static func maximum(_ left: Approximate, _ right: Approximate) -> Approximate {
        if left.value.isNaN || right.value.isNaN { return .anything }
        return Approximate(max(left.value, right.value), error: max(left.error, right.error))
    }
}

extension Swift.Sequence<Approximate> {
    /// The root of the sum of squares.
    var norm: Approximate {
        let (squares, errors) = reduce((0.0, 0.0)) { ($0.0 + $1.value * $1.value, $0.1 + $1.error * $1.error) }
        // Squares of numbers below 1e-19 are 0 in Float.
        let value = squares.squareRoot()
        return Approximate(rounding: value, value == 0 && errors == 0 ? 0 : errors.squareRoot() + value * 2e-6 + 1e-18)
    }

    /// The sum of magnitudes.
    var sumOfMagnitudes: Approximate {
        reduce(Approximate(0)) { $0 + Approximate(abs($1.value), error: $1.error) }
    }

    /// The mean.
    var mean: Approximate {
        let (sum, magnitudes, errors, count) = reduce((0.0, 0.0, 0.0, 0.0)) {
            ($0.0 + $1.value, $0.1 + abs($1.value), $0.2 + $1.error, $0.3 + 1)
        }
        return Approximate(rounding: sum / count, (errors + magnitudes * 2e-6) / count)
    }
}
