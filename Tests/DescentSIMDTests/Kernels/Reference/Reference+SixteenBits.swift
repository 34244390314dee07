import DescentCore

@testable import DescentSIMD

extension ReferenceKernels {
    /// Widens 16-bit elements to float32, exactly; a NaN becomes quiet, as processors make it.
    static func widen(
        _ source: UnsafePointer<UInt16>, _ elementType: ElementType, into destination: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        if elementType == .bfloat16 {
            for index in 0..<count { destination[index] = quiet(Float(BFloat16(bitPattern: source[index]))) }
        } else {
            for index in 0..<count { destination[index] = quiet(Float(Binary16(bitPattern: source[index]))) }
        }
    }

    /// Rounds float32 elements to the nearest of 16 bits, ties to even.
    static func narrow(
        _ source: UnsafePointer<Float>, _ elementType: ElementType, into destination: UnsafeMutablePointer<UInt16>,
        count: Int
    ) {
        if elementType == .bfloat16 {
            for index in 0..<count { destination[index] = BFloat16(source[index]).bitPattern }
        } else {
            for index in 0..<count { destination[index] = Binary16(source[index]).bitPattern }
        }
    }

    /// Rounds float32 elements up or down to bfloat16, at random in proportion to the distance.
    ///
    /// - Parameters:
    ///   - source: What is rounded; NaN and infinities stay.
    ///   - destination: Where the bit patterns go.
    ///   - count: How many there are.
    ///   - seed: What random bits are made from, with the element's place.
    ///   - first: The place of the first element.
    static func narrowAtRandom(
        _ source: UnsafePointer<Float>, into destination: UnsafeMutablePointer<UInt16>, count: Int, seed: UInt32,
        first: Int
    ) {
        let first = UInt32(truncatingIfNeeded: first)
        for index in 0..<count {
            let bits = source[index].bitPattern
            let noise = noise(first &+ UInt32(truncatingIfNeeded: index), seed)
            let isFinite = bits & 0x7f80_0000 != 0x7f80_0000
            let rounded = isFinite ? bits &+ (noise >> 16) : bits
            // A finite number must not become infinite.
            let overflows = isFinite && rounded & 0x7f80_0000 == 0x7f80_0000
            let quiet: UInt32 = !isFinite && bits & 0x007f_ffff != 0 ? 0x40_0000 : 0
            destination[index] = UInt16(truncatingIfNeeded: ((overflows ? bits : rounded) | quiet) >> 16)
        }
    }

    /// Rounds float32 elements up or down to float16, at random in proportion to the distance.
    ///
    /// See ``narrowAtRandom(_:into:count:seed:first:)``.
    static func narrowToFloat16AtRandom(
        _ source: UnsafePointer<Float>, into destination: UnsafeMutablePointer<UInt16>, count: Int, seed: UInt32,
        first: Int
    ) {
        let first = UInt32(truncatingIfNeeded: first)
        for index in 0..<count {
            let bits = source[index].bitPattern
            let magnitude = bits & 0x7fff_ffff
            let noise = noise(first &+ UInt32(truncatingIfNeeded: index), seed)
            let rounded: UInt32
            if magnitude >= 0x7f80_0000 {
                rounded = magnitude > 0x7f80_0000 ? magnitude >> 13 & 0x3ff | 0x7e00 : 0x7c00
            } else if magnitude >= 0x3880_0000 {
                rounded = min((magnitude &+ (noise >> 19) &- 0x3800_0000) >> 13, 0x7bff)
            } else {
                // Below the smallest normal number, places are 2^-24 apart.
                let places = source[index].magnitude * 0x1p24
                let whole = places.rounded(.towardZero)
                rounded = UInt32(whole) + (Float(noise >> 8) * 0x1p-24 < places - whole ? 1 : 0)
            }
            destination[index] = UInt16(truncatingIfNeeded: rounded | bits >> 16 & 0x8000)
        }
    }

    /// Random bits for the place of an element, by the mixer of splitmix32, a bijection whose every output bit depends on
    /// all input bits.
    @inline(__always)
    private static func noise(_ place: UInt32, _ seed: UInt32) -> UInt32 {
        var noise = place &* 0x9e37_79b9 &+ seed
        noise = (noise ^ noise >> 16) &* 0x21f0_aaad
        noise = (noise ^ noise >> 15) &* 0x735a_2d97
        return noise
    }

    @inline(__always)
    private static func quiet(_ value: Float) -> Float {
        Float(
            bitPattern: value.bitPattern & 0x7fff_ffff > 0x7f80_0000 ? value.bitPattern | 0x40_0000 : value.bitPattern)
    }
}
