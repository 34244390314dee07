/// How an event file frames its messages: TensorFlow's TFRecord format.
///
/// | bytes | what, little endian |
/// | --- | --- |
/// | 8 | length of the data |
/// | 4 | masked CRC-32C of the length's bytes |
/// | length | data |
/// | 4 | masked CRC-32C of the data |
enum EventRecord {
    /// The bytes of a record.
    static func frame(_ data: [UInt8]) -> [UInt8] {
        let length = bytes(of: UInt64(data.count))
        var record: [UInt8] = []
        record.reserveCapacity(data.count + 16)
        record += length
        record += bytes(of: CRC32C.maskedChecksum(length))
        record += data
        record += bytes(of: CRC32C.maskedChecksum(data))
        return record
    }

    private static func bytes(of value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
