/// The checksum CRC-32C (Castagnoli), as in iSCSI: RFC 3720, section 12.1.
enum CRC32C {
    /// For each byte, the remainder of the byte followed by 32 zero bits, bits reversed.
    private static let remainders: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { remainder, _ in
            remainder & 1 == 0 ? remainder >> 1 : remainder >> 1 ^ 0x82f6_3b78
        }
    }

    /// The checksum of bytes.
    ///
    /// - Complexity: O(n) in the number of bytes.
    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let remainders = remainders
        return ~bytes.reduce(~0) { remainder, byte in
            remainders[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)] ^ remainder >> 8
        }
    }

    /// The checksum, rotated and with a constant added: what a record stores.
    ///
    /// The checksum of data that holds checksums of its own would be a weak one.
    static func maskedChecksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let checksum = checksum(bytes)
        return (checksum >> 15 | checksum << 17) &+ 0xa282_ead8
    }
}
