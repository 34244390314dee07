public import DescentCore

/// Writes tensors to a safetensors file, straight from where they are in memory.
///
/// First list the tensors, then write them: the file takes the place of an older one all at once, see ``AtomicFile``.
/// ```swift
/// var writer = SafetensorsWriter(metadata: ["epoch": "3"])
/// try writer.add(parameters, prefix: "parameters/")
/// try writer.write(to: "run.safetensors")
/// ```
/// The same tensors and text always give the same bytes. Data lies in the order in which tensors were added, those with
/// larger elements first, so that each is aligned to its elements; the data begins at a multiple of eight bytes.
public struct SafetensorsWriter: Sendable {
    /// What hands a tensor's bytes to a closure, once.
    public typealias Contents =
        @Sendable (_ body: (UnsafeRawBufferPointer) throws(DescentError) -> Void) throws(DescentError) -> Void

    private struct Tensor {
        let name: String
        let type: SafetensorsType
        let shape: [Int]
        let byteCount: Int
        let contents: Contents
    }

    /// Text by key, written with the tensors.
    public var metadata: [String: String]
    /// Whether a checksum of each tensor and of the header is written, as text by the key "descent.checksums".
    public var writesChecksums: Bool
    private var tensors: [Tensor] = []
    private var names: Set<String> = [SafetensorsHeader.metadataKey]

    /// A writer without tensors.
    public init(metadata: [String: String] = [:], writesChecksums: Bool = true) {
        self.metadata = metadata
        self.writesChecksums = writesChecksums
    }

    /// Adds a tensor.
    ///
    /// - Parameters:
    ///   - name: A name that no other tensor has, and not "__metadata__".
    ///   - type: How its elements are stored.
    ///   - shape: The extent of each dimension.
    ///   - contents: What hands its bytes to a closure when the file is written: elements in row-major order,
    ///     little-endian.
    /// - Throws: `DescentError` with code `duplicateParameter` or `invalidShape`.
    public mutating func add(
        _ name: String, _ type: SafetensorsType, shape: [Int], contents: @escaping Contents
    ) throws(DescentError) {
        guard let byteCount = SafetensorsEntry.byteCount(type, shape), shape.count <= SafetensorsHeader.maximumRank
        else {
            throw DescentError(
                .invalidShape, parameter: name,
                "The shape \(shape) of \(name.quotedBriefly) has a negative extent, more than \(SafetensorsHeader.maximumRank) "
                    + "dimensions, or more bytes than an Int can count.")
        }
        guard names.insert(name).inserted else {
            throw DescentError(
                .duplicateParameter, parameter: name,
                name == SafetensorsHeader.metadataKey
                    ? "No tensor in a safetensors file can be named \(name.quotedBriefly)."
                    : "There is already a tensor named \(name.quotedBriefly); names tell tensors in a file apart.")
        }
        tensors.append(Tensor(name: name, type: type, shape: shape, byteCount: byteCount, contents: contents))
    }

    /// Adds all tensors of a set, with a prefix to their names.
    ///
    /// The set shares its memory with the writer until one of them changes.
    ///
    /// - Throws: `DescentError` with code `duplicateParameter` that names the tensor.
    public mutating func add(_ tensors: some TensorStorage, prefix: String = "") throws(DescentError) {
        for index in tensors.layout.indices { try add(tensors, at: index, prefix: prefix) }
    }

    /// Adds one tensor of a set, as ``add(_:prefix:)`` does all of them.
    package mutating func add(
        _ tensors: some TensorStorage, at index: Int, prefix: String
    ) throws(DescentError) {
        let parameter = tensors.layout[index]
        try add(prefix + parameter.name, SafetensorsType(tensors.elementType), shape: parameter.shape) {
            body throws(DescentError) in try tensors.withBytes(of: index, body)
        }
    }

    /// Writes the file, or replaces it; what is there already stays if this throws.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: How long to wait for another writer to the same file.
    /// - Throws: `DescentError` with code `fileAccess`, the path and the operating system's reason, or
    ///   with code `invalidFile` if the header is larger than the format allows.
    public func write(to path: String, waitingAtMost limit: Duration = .seconds(60)) throws(DescentError) {
        try write(to: path, like: nil, waitingAtMost: limit)
    }

    /// Writes the file; a new one has the owner and permissions of another.
    package func write(to path: String, like model: String?, waitingAtMost limit: Duration) throws(DescentError) {
        try AtomicFile.replace(path, like: model, waitingAtMost: limit) { file throws(DescentError) in
            try write(
                append: { bytes throws(DescentError) in try file.write(bytes) },
                overwriteHeader: { bytes throws(DescentError) in try file.overwrite(at: 0, with: bytes) })
        }
    }

    /// The file, in memory.
    ///
    /// - Throws: `DescentError` with code `invalidFile` if the header is larger than the format allows.
    public func bytes() throws(DescentError) -> [UInt8] {
        var file: [UInt8] = []
        try write(
            append: { bytes in file += bytes },
            overwriteHeader: { bytes in file.replaceSubrange(..<bytes.count, with: bytes) })
        return file
    }

    private func write(
        append: (UnsafeRawBufferPointer) throws(DescentError) -> Void,
        overwriteHeader: (UnsafeRawBufferPointer) throws(DescentError) -> Void
    ) throws(DescentError) {
        // Sorting is stable: tensors of one alignment stay in their order.
        let tensors = tensors.sorted { $0.type.byteCount > $1.type.byteCount }
        var header = SafetensorsHeader(entries: try Self.entries(tensors), metadata: metadata)
        header.metadata[SafetensorsChecksums.key] = nil
        // Checksums are known when all has been written. Until then their place is taken by others.
        var checksums = writesChecksums ? SafetensorsChecksums(placeholdersFor: header.entries) : nil
        checksums?.reserve(in: &header)
        let bytes = header.bytes
        guard bytes.count <= SafetensorsHeader.maximumByteCount,
            header.metadata.count <= SafetensorsHeader.maximumMetadataCount
        else {
            throw DescentError(
                .invalidFile,
                "The header would have \(bytes.count) bytes with \(header.metadata.count) entries of metadata; readers refuse "
                    + "one of more than \(SafetensorsHeader.maximumByteCount) bytes or "
                    + "\(SafetensorsHeader.maximumMetadataCount) entries.")
        }
        try bytes.span.withUnsafeBytes(append)
        for tensor in tensors {
            try tensor.contents { bytes throws(DescentError) in
                stopUnless(
                    bytes.count == tensor.byteCount,
                    "\(tensor.name.quotedBriefly) gave \(bytes.count) of \(tensor.byteCount) bytes.")
                checksums?[tensor.name] = XXHash64.checksum(bytes)
                try append(bytes)
            }
        }
        guard let checksums else { return }
        checksums.write(to: &header)
        try header.bytes.span.withUnsafeBytes(overwriteHeader)
    }

    private static func entries(_ tensors: [Tensor]) throws(DescentError) -> [SafetensorsEntry] {
        var entries: [SafetensorsEntry] = []
        var end = 0
        for tensor in tensors {
            let (sum, overflow) = end.addingReportingOverflow(tensor.byteCount)
            guard !overflow else {
                throw DescentError(
                    .invalidShape, parameter: tensor.name,
                    "With \(tensor.name.quotedBriefly) the tensors have more bytes than an Int can count.")
            }
            entries.append(
                SafetensorsEntry(name: tensor.name, type: tensor.type, shape: tensor.shape, range: end..<sum))
            end = sum
        }
        return entries
    }
}
