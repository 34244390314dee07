public import DescentCore

/// How the elements of a tensor in a file are stored: the `dtype` of the safetensors format.
///
/// Elements smaller than a byte (F4, F6) are not supported.
public enum SafetensorsType: String, Sendable, Hashable, CaseIterable {
    /// A byte, 0 or 1.
    case bool = "BOOL"
    /// An unsigned integer.
    case uint8 = "U8"
    /// An integer.
    case int8 = "I8"
    /// A float with 5 bits of exponent and 2 of significand.
    case float8E5M2 = "F8_E5M2"
    /// A float with 4 bits of exponent and 3 of significand.
    case float8E4M3 = "F8_E4M3"
    /// A power of two.
    case float8E8M0 = "F8_E8M0"
    /// A float with 4 bits of exponent and 3 of significand, without infinities and negative zero.
    case float8E4M3FNUZ = "F8_E4M3FNUZ"
    /// A float with 5 bits of exponent and 2 of significand, without infinities and negative zero.
    case float8E5M2FNUZ = "F8_E5M2FNUZ"
    /// An integer.
    case int16 = "I16"
    /// An unsigned integer.
    case uint16 = "U16"
    /// IEEE 754 half precision.
    case float16 = "F16"
    /// The upper half of a float32.
    case bfloat16 = "BF16"
    /// An integer.
    case int32 = "I32"
    /// An unsigned integer.
    case uint32 = "U32"
    /// IEEE 754 single precision.
    case float32 = "F32"
    /// Two of ``float32``: the real and the imaginary part.
    case complex64 = "C64"
    /// IEEE 754 double precision.
    case float64 = "F64"
    /// An integer.
    case int64 = "I64"
    /// An unsigned integer.
    case uint64 = "U64"

    /// The type of elements that backends store.
    public init(_ elementType: ElementType) {
        switch elementType {
        case .float32: self = .float32
        case .float16: self = .float16
        case .bfloat16: self = .bfloat16
        case .int8: self = .float8E4M3
        case .uint8: self = .uint8
        }
    }

    /// The type as backends know it; nil if they do not.
    public var elementType: ElementType? {
        switch self {
        case .float32: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        case .float8E4M3: .int8
        case .uint8: .uint8
        default: nil
        }
    }

    /// The size of an element in bytes.
    public var byteCount: Int {
        switch self {
        case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: 1
        case .int16, .uint16, .float16, .bfloat16: 2
        case .int32, .uint32, .float32: 4
        case .complex64, .float64, .int64, .uint64: 8
        }
    }
}
