import DescentCore

/// A number that tells whether ranks mean the same: FNV-1a, 64 bits.
struct Digest {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    init() {}

    /// The digest of some bytes.
    init(of bytes: [UInt8]) {
        for byte in bytes { add(byte) }
    }

    mutating func add(_ text: String) {
        for byte in text.utf8 { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
        add(UInt64(text.utf8.count))
    }

    mutating func add(_ number: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) {
            value = (value ^ (number >> UInt64(shift) & 0xff)) &* 0x100_0000_01b3
        }
    }

    mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }

    /// Adds memory, eight bytes at a time.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var value = value
        let whole = bytes.count / 8 * 8
        for start in stride(from: 0, to: whole, by: 8) {
            // A multiplication moves nothing down, so that upper bytes have to be folded in.
            value = (value ^ bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)) &* 0x9e37_79b9_7f4a_7c15
            value ^= value >> 32
        }
        self.value = value
        for byte in bytes[whole...] { add(byte) }
    }

    mutating func add(_ layout: ParameterLayout) {
        add(UInt64(layout.count))
        for parameter in layout {
            add(parameter.name)
            for extent in parameter.shape { add(UInt64(extent)) }
            add("\(parameter.outputAxis)")
        }
    }
}
