import DescentErrors
import DescentJSON

/// The checksums that Descent writes into a file's metadata, of each tensor and of the header itself.
///
///     "descent.checksums": {"algorithm":"XXH64","header":"…","tensors":{"fc.weight":"…"}}
///
/// Each is sixteen hexadecimal digits. The header's is that of the header as it would be written with "0" for each of
/// these sixteen, and covers all metadata and all other checksums.
struct SafetensorsChecksums {
    /// The key of the checksums in the metadata.
    static let key = "descent.checksums"
    private static let algorithm = "XXH64"

    /// The names of the tensors, in the order in which they are written.
    private let names: [String]
    private var tensors: [String: UInt64]

    /// Checksums that take up the room of the right ones.
    init(placeholdersFor entries: [SafetensorsEntry]) {
        names = entries.map(\.name).sorted()
        tensors = Dictionary(uniqueKeysWithValues: names.map { ($0, 0) })
    }

    /// The checksums in a file's header; nil if it has none.
    ///
    /// - Throws: ``DescentError`` with code `invalidFile` if the header has changed since they were made.
    init?(checking header: SafetensorsHeader) throws(DescentError) {
        guard let text = header.metadata[Self.key] else { return nil }
        let expected: UInt64?
        (tensors, expected) = try Array(text.utf8).span.withUnsafeBytes { bytes throws(DescentError) in
            try Self.read(bytes)
        }
        names = tensors.keys.sorted()
        guard tensors.count == header.entries.count, header.entries.allSatisfy({ tensors[$0.name] != nil })
        else { throw Self.invalid("are of other tensors than the file holds") }
        guard checksum(of: header) == expected else {
            throw Self.invalid("do not match the header: it is damaged, or was edited")
        }
    }

    private static func read(
        _ bytes: UnsafeRawBufferPointer
    ) throws(DescentError) -> (tensors: [String: UInt64], header: UInt64?) {
        var (algorithm, header, tensors) = (nil as String?, nil as UInt64?, [:] as [String: UInt64])
        var reader = JSONReader(bytes)
        try reader.readObject { reader, key throws(DescentError) in
            switch key {
            case "algorithm": algorithm = try reader.readString()
            case "header": header = try readChecksum(&reader)
            case "tensors":
                try reader.readObject { reader, name throws(DescentError) in
                    tensors[name] = try readChecksum(&reader)
                }
            default: try reader.skipValue()
            }
        }
        try reader.readEnd()
        guard let algorithm else { throw invalid("are incomplete: missing setting \"algorithm\"") }
        guard algorithm == Self.algorithm else {
            throw invalid("are made by \(algorithm.quotedBriefly), not \(Self.algorithm)")
        }
        return (tensors, header)
    }

    private static func readChecksum(_ reader: inout JSONReader) throws(DescentError) -> UInt64 {
        let text = try reader.readString()
        // Capital letters would stand for the same number: a bit that was flipped would not be found.
        let digits = text.utf8.allSatisfy {
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0
        }
        guard digits, text.utf8.count == 16, let checksum = UInt64(text, radix: 16) else {
            throw invalid("are not all sixteen hexadecimal digits")
        }
        return checksum
    }

    /// The checksum of a tensor.
    subscript(name: String) -> UInt64? {
        get { tensors[name] }
        set { tensors[name] = newValue }
    }

    /// Puts the checksums into the metadata of a header, with one of the header itself.
    func write(to header: inout SafetensorsHeader) {
        header.metadata[Self.key] = text(header: checksum(of: header))
    }

    /// Puts the checksums into the metadata of a header, with room for one of the header itself.
    func reserve(in header: inout SafetensorsHeader) { header.metadata[Self.key] = text(header: 0) }

    private func checksum(of header: SafetensorsHeader) -> UInt64 {
        var header = header
        reserve(in: &header)
        return header.bytes.withUnsafeBytes(XXHash64.checksum)
    }

    private func text(header: UInt64) -> String {
        var bytes: [UInt8] = []
        bytes.append(ascii: "{\"algorithm\":")
        bytes.append(json: Self.algorithm)
        bytes.append(ascii: ",\"header\":")
        bytes.append(json: Self.digits(header))
        bytes.append(ascii: ",\"tensors\":{")
        for (position, name) in names.enumerated() {
            if position > 0 { bytes.append(ascii: ",") }
            bytes.append(json: name)
            bytes.append(ascii: ":")
            bytes.append(json: Self.digits(tensors[name] ?? 0))
        }
        bytes.append(ascii: "}}")
        return String(decoding: bytes, as: UTF8.self)
    }

    static func digits(_ checksum: UInt64) -> String {
        let digits = String(checksum, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func invalid(_ message: String) -> DescentError {
        DescentError(
            .invalidFile, "the checksums in its metadata \(message). (Without \"\(key)\" nothing is checked.)")
    }
}
