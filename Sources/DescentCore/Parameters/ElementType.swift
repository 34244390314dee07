/// How the elements of tensors are stored; arithmetic is done in float32 whatever the storage.
public enum ElementType: String, Sendable, Hashable, Codable, CaseIterable {
    /// IEEE 754 single precision.
    case float32
    /// IEEE 754 half precision: 11 bits of precision, from 6e-8 to 65,504.
    case float16
    /// The upper half of a float32: 8 bits of precision, the range of float32.
    case bfloat16
    /// Slots alone: codes of 8 bits for numbers of either sign, which share a power of two in groups.
    ///
    /// A code has a sign, 4 bits of exponent with a bias of 7, and 3 of significand, as E4M3 of the OCP 8-bit floating point
    /// formats 1.0: its number lies between -448 and 448, and is at least 2^-9 unless it is 0. No code is NaN: where a number
    /// of a group is not finite, its power of two is NaN, and with it all of the group.
    case int8
    /// Slots alone: codes of 8 bits for numbers that are never negative, which share a power of two in groups.
    ///
    /// A code has 5 bits of exponent with a bias of 15, and 3 of significand: the upper bits of a float16 without its sign.
    /// Its number lies between 0 and 57,344, and is at least 2^-14 unless it is 0. It is also what the powers of two
    /// themselves are stored in, as E8M0 of the OCP Microscaling formats 1.0 has them: a byte b is 2^(b - 127), 255 is NaN.
    case uint8

    /// The types that tensors of gradients and parameters can have.
    public static let allCases: [ElementType] = [.float32, .float16, .bfloat16]

    /// The size of an element in bytes.
    public var byteCount: Int {
        switch self {
        case .float32: 4
        case .float16, .bfloat16: 2
        case .int8, .uint8: 1
        }
    }

    /// Whether elements are codes, which mean a number only with the scale of their group.
    package var isCoded: Bool { self == .int8 || self == .uint8 }

    /// The nearest number that the type can store, ties to even; NaN stays NaN.
    ///
    /// What codes can store depends on their group: for them it is the number itself.
    public func rounded(_ value: Float) -> Float {
        switch self {
        case .float32, .int8, .uint8: value
        case .float16: Float(Binary16(value))
        case .bfloat16: Float(BFloat16(value))
        }
    }
}

/// Sixteen bits that store the upper half of a float32.
public struct BFloat16: Sendable, Hashable {
    /// Sign, eight bits of exponent, seven of significand.
    public var bitPattern: UInt16

    /// The number with a bit pattern.
    @inlinable
    public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

    /// The nearest number, ties to even; too large a number becomes infinite, NaN stays NaN.
    @inlinable
    public init(_ value: Float) {
        let bits = value.bitPattern
        let rounded = (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
        // Rounding could carry a NaN over into an infinity or zero: keep its upper bits, and make it quiet.
        let quiet = bits >> 16 | 0x40
        bitPattern = UInt16(truncatingIfNeeded: bits & 0x7fff_ffff > 0x7f80_0000 ? quiet : rounded)
    }
}

/// Sixteen bits that store a number in IEEE 754 half precision.
///
/// Swift's own `Float16` does not exist on every platform, and converts by a call for each element on some.
public struct Binary16: Sendable, Hashable {
    /// Sign, five bits of exponent, ten of significand.
    public var bitPattern: UInt16

    /// The number with a bit pattern.
    @inlinable
    public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

    /// The nearest number, ties to even; from 65,520 on it becomes infinite, NaN stays NaN.
    @inlinable
    public init(_ value: Float) {
        let bits = value.bitPattern
        let sign = bits >> 16 & 0x8000
        let magnitude = bits & 0x7fff_ffff
        // Normal numbers: shift the exponent's bias from 127 to 15 and round the 13 bits that fall off.
        let normal = (magnitude &- 0x3800_0000 &+ 0xfff &+ (magnitude >> 13 & 1)) >> 13
        // Subnormal ones: adding 0.5 lets the float adder shift and round.
        let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3f00_0000
        let nan = 0x7e00 | (magnitude >> 13 & 0x3ff)
        let finite = magnitude < 0x3880_0000 ? subnormal : normal
        let result = magnitude > 0x7f80_0000 ? nan : magnitude >= 0x477f_f000 ? 0x7c00 : finite
        bitPattern = UInt16(truncatingIfNeeded: sign | result)
    }
}

extension Float {
    /// The number that sixteen bits store, exactly.
    @inlinable
    public init(_ value: BFloat16) { self.init(bitPattern: UInt32(value.bitPattern) << 16) }

    /// The number that sixteen bits store, exactly.
    @inlinable
    public init(_ value: Binary16) {
        let bits = UInt32(value.bitPattern)
        let sign = (bits & 0x8000) << 16
        let magnitude = (bits & 0x7fff) << 13
        let normal = magnitude &+ 0x3800_0000
        // The significand on top of 2^-14, less 2^-14: exact, and no float in it is subnormal.
        let subnormal = (Float(bitPattern: magnitude | 0x3880_0000) - Float(bitPattern: 0x3880_0000)).bitPattern
        let finite = magnitude < 0x0080_0000 ? subnormal : normal
        self.init(bitPattern: sign | (magnitude >= 0x0f80_0000 ? magnitude | 0x7f80_0000 : finite))
    }
}
