/// Counts of numbers by the power of two of their magnitude.
///
/// The bin of exponent e counts magnitudes from 2^e up to below 2^(e + 1). Zeros, subnormal numbers, NaN and infinities
/// have counts of their own.
public struct MagnitudeHistogram: Sendable, Hashable {
    /// The exponents of normal floats.
    public static let exponents = -126...127

    /// A count for each value of a float's eight exponent bits.
    private var counts = [Int](repeating: 0, count: 256)
    /// How many numbers are 0.
    public private(set) var zeroCount = 0
    /// How many numbers are NaN.
    public private(set) var nanCount = 0

    /// An empty histogram.
    public init() {}

    /// How many magnitudes lie from 2^exponent up to below its double.
    ///
    /// - Precondition: The exponent is one of ``exponents``.
    public subscript(exponent: Int) -> Int {
        stopUnless(Self.exponents.contains(exponent), "2^\(exponent) is not the magnitude of a normal float.")
        return counts[exponent + 127]
    }

    /// How many numbers are subnormal: below 2^-126 and not 0.
    public var subnormalCount: Int { counts[0] - zeroCount }
    /// How many numbers are infinite.
    public var infiniteCount: Int { counts[255] - nanCount }
    /// How many numbers there are.
    public var count: Int { counts.reduce(0, +) }

    /// How many magnitudes are below a power of two, and not 0: what a format with that smallest number would lose.
    ///
    /// - Parameter exponent: Any number. From 128 on every finite number is below; below -126 none is, because subnormal
    ///   numbers are counted as one.
    /// - Returns: The count; subnormal numbers are in it from -126 on.
    public func count(belowExponent exponent: Int) -> Int {
        let end = max(-127, min(128, exponent)) + 127
        return end == 0 ? 0 : counts[..<end].reduce(0, +) - zeroCount
    }

    /// Adds a number.
    public mutating func add(_ value: Float) {
        let bits = value.bitPattern & 0x7fff_ffff
        counts[Int(bits >> 23)] += 1
        if bits == 0 { zeroCount += 1 }
        if bits > 0x7f80_0000 { nanCount += 1 }
    }

    /// All counts, for other processes to add.
    var numbers: [Double] { (counts + [zeroCount, nanCount]).map(Double.init) }

    /// A histogram of the counts of another process; numbers that are none count as 0.
    init(numbers: ArraySlice<Double>) {
        let whole = numbers.map { Int(exactly: $0) ?? 0 }
        counts = Array(whole.dropLast(2))
        (zeroCount, nanCount) = (whole[whole.count - 2], whole[whole.count - 1])
    }

    /// Adds all that another histogram counts.
    public mutating func add(_ other: MagnitudeHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        zeroCount += other.zeroCount
        nanCount += other.nanCount
    }
}
