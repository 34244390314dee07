/// Normal random numbers for the elements of a parameter: N(0, deviation^2), one for each place.
///
/// The number of an element is made from the seed, the step, the parameter and the element's place alone, by arithmetic of
/// whole numbers and IEEE floats, so that it is the same on every processor and for any order of work. Numbers reach
/// 6.6 standard deviations to either side.
///
/// Random bits are those of Philox 4x32 with 7 rounds, the fewest that pass all of TestU01's batteries: Salmon, Moraes,
/// Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). They become normal numbers by the transform of
/// Box and Muller, "A note on the generation of random normal deviates" (1958): sqrt(-2 log u) times the cosine and the
/// sine of an angle.
public struct NormalNoise: Sendable, Equatable {
    /// The standard deviation.
    public var deviation: Float
    /// What makes the noise this noise and no other.
    public var seed: UInt64
    /// The parameter's position in the layout; the lower 32 bits of it.
    public var parameter: UInt32
    /// The step; the lower 32 bits of its number.
    public var step: UInt32

    /// Describes noise.
    ///
    /// - Parameters:
    ///   - deviation: The standard deviation, finite and at least 0.
    ///   - seed: What the numbers are made from.
    ///   - parameter: The parameter's position in the layout.
    ///   - step: The number of the step.
    public init(deviation: Float, seed: UInt64, parameter: Int, step: Int) {
        self.deviation = deviation
        self.seed = seed
        self.parameter = UInt32(truncatingIfNeeded: parameter)
        self.step = UInt32(truncatingIfNeeded: step)
    }

    /// Adds to each element the number of its place.
    ///
    /// - Parameters:
    ///   - elements: Elements that follow each other in their parameter, row by row.
    ///   - first: The place of the first of them, counted from 0.
    /// - Complexity: O(n) for n elements.
    public func add(to elements: inout MutableSpan<Float>, from first: Int) {
        // One counter gives four numbers, for places that are 16 apart.
        let places = first..<first + elements.count
        var start = first & ~63
        while start < places.upperBound {
            for lane in 0..<16 {
                let numbers = self.numbers(UInt64(start / 4 + lane))
                for quarter in 0..<4 {
                    let place = start + 16 * quarter + lane
                    if places.contains(place) { elements[place - first] += numbers[quarter] }
                }
            }
            start += 64
        }
    }

    /// The four numbers of a counter.
    func numbers(_ counter: UInt64) -> SIMD4<Float> {
        let bits = Philox.generate(
            counter: SIMD4(
                UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32), parameter, step),
            key: seed, rounds: 7)
        let first = pair(bits.x, bits.y)
        let second = pair(bits.z, bits.w)
        return SIMD4(first.0, first.1, second.0, second.1)
    }

    /// Two numbers from 32 random bits for their distance from (0, 0) and as many for the direction.
    func pair(_ distance: UInt32, _ direction: UInt32) -> (Float, Float) {
        let length = deviation * (Self.logarithm(distance >> 1) * -0x1.62e43p+0).squareRoot()
        // An odd number of 2^-30 eighths of a turn, from -1 to 1; two more bits say which quarter it lies in.
        let eighths = Float(Int32(bitPattern: direction) >> 1 | 1) * 0x1p-30
        let square = eighths * eighths
        let (sine1, sine2) = (
            0x1.921fb6p-1 + square * -0x1.4abbbap-4, 0x1.465ec6p-9 + square * -0x1.2d9bb8p-15 as Float
        )
        let sine = eighths * (sine1 + (square * square) * sine2)
        let (cosine1, cosine2) = (1 + square * -0x1.3bd3a2p-2, 0x1.03b162p-6 + square * -0x1.4ea9e6p-12 as Float)
        let cosine = cosine1 + (square * square) * cosine2
        let signed = direction & 2 == 0 ? cosine : -cosine
        return direction & 1 == 0 ? (length * signed, length * sine) : (length * sine, length * signed)
    }

    /// The logarithm to base 2 of (n + 1/2) / 2^31, for n below 2^31, in floats.
    private static func logarithm(_ n: UInt32) -> Float {
        let uniform = Float(n) + 0.5
        // Of a significand from sqrt(1/2) to sqrt(2); that of 1/2 is -1.
        let root: Int32 = 0x3f35_04f3
        let exponent = (Int32(bitPattern: uniform.bitPattern) - root) >> 23
        var t = Float(bitPattern: uniform.bitPattern &- UInt32(bitPattern: exponent << 23)) - 1
        // Next to 1 it is the distance from 1 that has all of its digits.
        if exponent == 31 { t = -0x1p-31 * (Float(n ^ 0x7fff_ffff) + 0.5) }
        let square = t * t
        let first = 0x1.715474p+0 + t * -0x1.715528p-1
        let second = 0x1.ec7724p-2 + t * -0x1.70e2a8p-2
        let third = 0x1.25fd34p-2 + t * -0x1.fdb32cp-3
        let fourth = 0x1.df51a4p-3 + t * -0x1.2a9f5p-3
        let logarithm = t * ((first + square * second) + (square * square) * (third + square * fourth))
        return logarithm + Float(exponent - 31)
    }
}

/// Philox 4x32: four random words that depend on a counter and a key, and on nothing else.
enum Philox {
    static func generate(counter: SIMD4<UInt32>, key: UInt64, rounds: Int) -> SIMD4<UInt32> {
        var counter = counter
        var low = UInt32(truncatingIfNeeded: key)
        var high = UInt32(truncatingIfNeeded: key >> 32)
        for _ in 0..<rounds {
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
