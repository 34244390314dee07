package import DescentErrors
import DescentJSON

/// Which of several safetensors files holds which tensor: the contents of a `model.safetensors.index.json`.
///
///     {"metadata":{"total_size":104},"weight_map":{"fc.weight":"model-00001-of-00002.safetensors"}}
///
/// The form is that of Hugging Face's Transformers. An index that Descent wrote has two more entries in its metadata: a
/// checksum of all of the index, and the name of the save that its files belong to, which stands in each of them, too.
package struct SafetensorsIndex {
    /// The most bytes that an index may have, as many as a header.
    package static let maximumByteCount = SafetensorsHeader.maximumByteCount
    /// The key of what tells one save from all others, in the metadata of an index and of its files.
    package static let saveKey = "descent.save"
    private static let checksumKey = "descent.checksum"
    private static let sizeKey = "total_size"

    /// Text by key; other values are not read.
    package var metadata: [String: String] = [:]
    /// How many bytes all tensors together have, where it says so.
    package var totalByteCount: Int?
    /// The name of the file that holds each tensor, by the tensor's name.
    package var holders: [String: String] = [:]
    /// Whether it was read with a checksum, which then was that of what it says.
    package private(set) var hasChecksum = false

    /// An index of nothing.
    package init() {}

    /// The names of the files.
    package var fileNames: Set<String> { Set(holders.values) }
}

// MARK: Writing

extension SafetensorsIndex {
    /// The index as it is written, with its checksum; the same contents always give the same bytes.
    ///
    /// - Throws: ``DescentError`` with code `invalidFile` if readers would refuse it as too large.
    package func bytes() throws(DescentError) -> [UInt8] {
        let bytes = bytes(checksum: checksum)
        guard bytes.count <= Self.maximumByteCount, metadata.count <= SafetensorsHeader.maximumMetadataCount else {
            throw DescentError(
                .invalidFile,
                "The index would have \(bytes.count) bytes with \(metadata.count) entries of metadata; readers refuse one of "
                    + "more than \(Self.maximumByteCount) bytes or \(SafetensorsHeader.maximumMetadataCount) entries.")
        }
        return bytes
    }

    /// The checksum of the index as it would be written with zeros in place of its checksum.
    private var checksum: UInt64 { bytes(checksum: 0).withUnsafeBytes(XXHash64.checksum) }

    private func bytes(checksum: UInt64) -> [UInt8] {
        var metadata = metadata
        metadata[Self.checksumKey] = SafetensorsChecksums.digits(checksum)
        var bytes: [UInt8] = []
        bytes.append(ascii: "{\"metadata\":{")
        if let totalByteCount {
            bytes.append(json: Self.sizeKey)
            bytes.append(ascii: ":")
            bytes.append(json: totalByteCount)
            bytes.append(ascii: ",")
        }
        bytes.append(json: metadata)
        bytes.append(ascii: "},\n\"weight_map\":{")
        bytes.append(json: holders)
        bytes.append(ascii: "}}\n")
        return bytes
    }
}

extension [UInt8] {
    /// Appends the members of an object, sorted by key, a line each.
    fileprivate mutating func append(json members: [String: String]) {
        for (position, (key, value)) in members.sorted(by: { $0.key < $1.key }).enumerated() {
            append(ascii: position > 0 ? ",\n" : "\n")
            append(json: key)
            append(ascii: ":")
            append(json: value)
        }
    }
}

// MARK: Reading

extension SafetensorsIndex {
    /// Whether a file that begins with eight bytes is JSON, and not one with tensors: these would have a header of more
    /// than 2^56 bytes.
    static func begins(with bytes: [UInt8]) -> Bool { bytes.first == UInt8(ascii: "{") && bytes.last != 0 }

    /// Reads and checks an index.
    ///
    /// - Throws: ``DescentError`` with code `invalidFile`, or `invalidJSON`.
    package init(json: [UInt8]) throws(DescentError) {
        var isRead = false
        try json.span.withUnsafeBytes { bytes throws(DescentError) in
            var reader = JSONReader(bytes)
            try reader.readObject { reader, key throws(DescentError) in
                switch key {
                case "metadata": try readMetadata(&reader)
                case "weight_map":
                    try reader.readObject { reader, name throws(DescentError) in
                        holders[name] = try Self.readFileName(&reader, of: name)
                    }
                    isRead = true
                default: try reader.skipValue()
                }
            }
            try reader.readEnd()
        }
        guard isRead else { throw DescentError(.invalidFile, "it has no \"weight_map\".") }
        guard let found = metadata.removeValue(forKey: Self.checksumKey) else { return }
        guard found == SafetensorsChecksums.digits(checksum) else {
            throw DescentError(
                .invalidFile,
                "its checksum does not match: it is damaged, or was edited. (Without \"\(Self.checksumKey)\" nothing is "
                    + "checked.)")
        }
        hasChecksum = true
    }

    private mutating func readMetadata(_ reader: inout JSONReader) throws(DescentError) {
        var (metadata, size) = ([:] as [String: String], nil as Int?)
        try reader.readObject { reader, key throws(DescentError) in
            switch try reader.nextKind() {
            case .string: metadata[key] = try reader.readString()
            case .number where key == Self.sizeKey: size = try reader.readNumber().integer(Int.self)
            default: try reader.skipValue()
            }
            guard metadata.count <= SafetensorsHeader.maximumMetadataCount else {
                throw DescentError(
                    .invalidFile, "it has more than \(SafetensorsHeader.maximumMetadataCount) entries of metadata.")
            }
        }
        (self.metadata, totalByteCount) = (metadata, size)
    }

    /// Reads the name of a file, which has to be in the folder of the index.
    private static func readFileName(
        _ reader: inout JSONReader, of tensor: String
    ) throws(DescentError) -> String {
        let name = try reader.readString()
        guard !["", ".", ".."].contains(name), !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0) else {
            throw DescentError(
                .invalidFile, parameter: tensor,
                "it says that \(tensor.quotedBriefly) is in \(name.quotedBriefly), which is not the name of a file in its "
                    + "own folder.")
        }
        return name
    }
}
