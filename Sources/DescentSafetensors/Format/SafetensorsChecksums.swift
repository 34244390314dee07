import DescentCore
import DescentJSON

/// The checksums that Descent writes into a file's metadata, of each tensor and of the header itself.
///
///     "descent.checksums": {"algorithm":"XXH64","header":"…","tensors":{"fc.weight":"…"}}
///
/// Each is sixteen hexadecimal digits. The header's is that of the header as it would be written with "0" for each of
/// these sixteen, and covers all metadata and all other checksums.
struct SafetensorsChecksums: Codable {
    /// The key of the checksums in the metadata.
    static let key = "descent.checksums"
    private static let algorithm = "XXH64"
    private static let placeholder = Self.digits(0)

    private var algorithm = Self.algorithm
    private var header = Self.placeholder
    private var tensors: [String: String]

    /// Checksums that take up the room of the right ones.
    init(placeholdersFor entries: [SafetensorsEntry]) {
        tensors = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, Self.placeholder) })
    }

    /// The checksums in a file's header; nil if it has none.
    ///
    /// - Throws: ``DescentError`` with code `invalidFile` if the header has changed since they were made.
    init?(checking header: SafetensorsHeader) throws(DescentError) {
        guard let text = header.metadata[Self.key] else { return nil }
        let checksums = try JSON(parsing: text).decode(Self.self)
        guard checksums.algorithm == Self.algorithm else {
            throw Self.invalid("are made by \(checksums.algorithm.quotedBriefly), not \(Self.algorithm)")
        }
        guard checksums.tensors.count == header.entries.count,
            header.entries.allSatisfy({ checksums.tensors[$0.name] != nil })
        else { throw Self.invalid("are of other tensors than the file holds") }
        guard try checksums.header == Self.digits(checksums.checksum(of: header)) else {
            throw Self.invalid("do not match the header: it is damaged, or somebody has edited it")
        }
        self = checksums
    }

    /// The checksum of a tensor, as it is written.
    subscript(name: String) -> UInt64? {
        get { tensors[name].flatMap { UInt64($0, radix: 16) } }
        set { tensors[name] = newValue.map(Self.digits) }
    }

    /// Puts the checksums into the metadata of a header, with one of the header itself.
    func write(to header: inout SafetensorsHeader) throws(DescentError) {
        var checksums = self
        checksums.header = Self.digits(try checksum(of: header))
        header.metadata[Self.key] = try JSON(encoding: checksums).description
    }

    private func checksum(of header: SafetensorsHeader) throws(DescentError) -> UInt64 {
        var checksums = self
        checksums.header = Self.placeholder
        var header = header
        header.metadata[Self.key] = try JSON(encoding: checksums).description
        return header.bytes.withUnsafeBytes(XXHash64.checksum)
    }

    private static func digits(_ checksum: UInt64) -> String {
        let digits = String(checksum, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func invalid(_ message: String) -> DescentError {
        DescentError(
            .invalidFile, "the checksums in its metadata \(message). (Without \"\(key)\" nothing is checked.)")
    }
}
