import DescentErrors
import DescentJSON

/// What stands before the data of a safetensors file: what tensors there are, and text about them.
struct SafetensorsHeader {
    /// The most bytes that a header may have, in the reference implementation too.
    static let maximumByteCount = 100_000_000
    /// The most dimensions of a tensor, as many as PyTorch and NumPy allow.
    static let maximumRank = 64
    /// The most entries of metadata: a dictionary of them may take more memory than their text, but not a mebibyte.
    static let maximumMetadataCount = 10_000
    /// The key of the text in the header, which no tensor can have as its name.
    static let metadataKey = "__metadata__"

    /// The tensors in the order of their data, which has neither holes nor overlaps.
    var entries: [SafetensorsEntry] = []
    /// Text by key.
    var metadata: [String: String] = [:]

    /// The number of bytes of all data.
    var dataByteCount: Int { entries.last?.range.upperBound ?? 0 }
}

// MARK: Writing

extension SafetensorsHeader {
    /// The header as it is written: its length in eight bytes, JSON, and spaces to a multiple of eight bytes.
    ///
    /// Text is sorted by key and tensors are in the order of their data, so that the same contents always give the same
    /// bytes.
    var bytes: [UInt8] {
        // The length comes first, and is known last.
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.append(ascii: "{")
        if !metadata.isEmpty {
            bytes.append(json: Self.metadataKey)
            bytes.append(ascii: ":{")
            for (position, (key, value)) in metadata.sorted(by: { $0.key < $1.key }).enumerated() {
                if position > 0 { bytes.append(ascii: ",") }
                bytes.append(json: key)
                bytes.append(ascii: ":")
                bytes.append(json: value)
            }
            bytes.append(ascii: "}")
        }
        for (position, entry) in entries.enumerated() {
            if position > 0 || !metadata.isEmpty { bytes.append(ascii: ",") }
            entry.write(to: &bytes)
        }
        bytes.append(ascii: "}")
        while bytes.count % 8 != 0 { bytes.append(UInt8(ascii: " ")) }
        withUnsafeBytes(of: UInt64(bytes.count - 8).littleEndian) { bytes.replaceSubrange(..<8, with: $0) }
        return bytes
    }
}

extension SafetensorsEntry {
    /// Appends what the header says of the tensor: `"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}`.
    fileprivate func write(to bytes: inout [UInt8]) {
        bytes.append(json: name)
        bytes.append(ascii: ":{\"dtype\":")
        bytes.append(json: type.rawValue)
        bytes.append(ascii: ",\"shape\":")
        bytes.append(json: shape)
        bytes.append(ascii: ",\"data_offsets\":")
        bytes.append(json: [range.lowerBound, range.upperBound])
        bytes.append(ascii: "}")
    }
}

// MARK: Reading

extension SafetensorsHeader {
    /// Reads and checks the JSON of a header.
    ///
    /// No more is allocated at once than the text is long or a mebibyte, whatever numbers it holds.
    ///
    /// - Parameters:
    ///   - json: The text.
    ///   - dataByteCount: How many bytes follow it in the file.
    /// - Throws: ``DescentError`` with code `invalidFile`, or `invalidJSON`, that names the tensor concerned.
    init(json: UnsafeRawBufferPointer, dataByteCount: Int) throws(DescentError) {
        guard json.first == UInt8(ascii: "{") else {
            throw DescentError(.invalidFile, "the header does not begin with \"{\".")
        }
        var reader = JSONReader(json)
        var entries: [SafetensorsEntry] = []
        // No description of a tensor is shorter, so that this is enough, and less than the text itself.
        entries.reserveCapacity(json.count / #""":{"dtype":"U8","shape":[],"data_offsets":[0,0]},"#.utf8.count + 1)
        var metadata: [String: String] = [:]
        try reader.readObject { reader, name throws(DescentError) in
            if name == Self.metadataKey {
                metadata = try Self.readMetadata(&reader)
            } else {
                entries.append(try Self.readEntry(name, &reader))
            }
        }
        try reader.readEnd()
        entries.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        self.init(entries: entries, metadata: metadata)
        try requireCompleteCover(of: dataByteCount)
    }

    private func requireCompleteCover(of dataByteCount: Int) throws(DescentError) {
        var end = 0
        for entry in entries {
            let (name, start) = (entry.name, entry.range.lowerBound)
            guard start == end else {
                throw Self.invalid(
                    name,
                    start < end
                        ? "begins at byte \(start) of the data, before the tensor before it ends at \(end)"
                        : "begins at byte \(start) of the data, and nothing is said of the bytes from \(end) on")
            }
            end = entry.range.upperBound
            guard end <= dataByteCount else {
                throw Self.invalid(name, "ends at byte \(end) of the data, of which the file has \(dataByteCount)")
            }
        }
        guard end == dataByteCount else {
            throw DescentError(
                .invalidFile, "tensors fill \(end) bytes of data, but \(dataByteCount) bytes come after the header.")
        }
    }

    private static func readMetadata(_ reader: inout JSONReader) throws(DescentError) -> [String: String] {
        var metadata: [String: String] = [:]
        try reader.readObject { reader, key throws(DescentError) in
            metadata[key] = try reader.readString()
            guard metadata.count <= maximumMetadataCount else {
                throw DescentError(
                    .invalidFile, "the header has more than \(maximumMetadataCount) entries of metadata.")
            }
        }
        return metadata
    }

    private static func readEntry(
        _ name: String, _ reader: inout JSONReader
    ) throws(DescentError) -> SafetensorsEntry {
        var typeName: String?
        var shape: [Int]?
        var offsets: [Int]?
        try reader.readObject { reader, key throws(DescentError) in
            switch key {
            case "dtype": typeName = try reader.readString()
            case "shape": shape = try readSizes(&reader, "shape", of: name, atMost: maximumRank)
            case "data_offsets": offsets = try readSizes(&reader, "data_offsets", of: name, atMost: 2)
            // The reference implementation ignores what it does not know, too.
            default: try reader.skipValue()
            }
        }
        guard let typeName, let shape, let offsets else {
            throw invalid(name, "lacks one of dtype, shape and data_offsets")
        }
        guard let type = SafetensorsType(rawValue: typeName) else {
            throw invalid(name, "has elements of type \(typeName.quotedBriefly), which cannot be read here")
        }
        guard offsets.count == 2, offsets[0] <= offsets[1] else {
            throw invalid(name, "has the data_offsets \(offsets), which are no begin and end")
        }
        guard let byteCount = SafetensorsEntry.byteCount(type, shape) else {
            throw invalid(name, "has the shape \(shape), of more elements than an Int can count")
        }
        guard offsets[1] - offsets[0] == byteCount else {
            throw invalid(
                name,
                "has \(offsets[1] - offsets[0]) bytes, but \(typeName) of shape \(shape) makes \(byteCount)")
        }
        return SafetensorsEntry(name: name, type: type, shape: shape, range: offsets[0]..<offsets[1])
    }

    private static func readSizes(
        _ reader: inout JSONReader, _ key: String, of name: String, atMost maximumCount: Int
    ) throws(DescentError) -> [Int] {
        var sizes: [Int] = []
        try reader.readArray { reader throws(DescentError) in
            let literal = try reader.readNumber().literal
            guard let size = Int(literal), size >= 0, !literal.hasPrefix("-") else {
                throw invalid(name, "has \(literal.prefix(40)) in its \(key), which is no size that an Int can hold")
            }
            guard sizes.count < maximumCount else {
                throw invalid(name, "has more than \(maximumCount) numbers in its \(key)")
            }
            sizes.append(size)
        }
        return sizes
    }

    private static func invalid(_ name: String, _ message: String) -> DescentError {
        DescentError(.invalidFile, parameter: name, "the tensor \(name.quotedBriefly) \(message).")
    }
}
