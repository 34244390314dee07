public import DescentErrors

/// A safetensors file that is open to be read.
///
/// The header is read and checked when the file is opened; tensors are read when they are asked for. No file can make
/// this trap, or allocate more at once than it is long (or a mebibyte): whatever does not hold is an error. If the file
/// was written by Descent, damage to its header and tensors is found by their checksums.
/// ```swift
/// let file = try SafetensorsFile(contentsOf: "model.safetensors")
/// for entry in file.entries { print(entry.name, entry.type, entry.shape) }
/// ```
///
/// The format: eight bytes with the length of the header, little-endian; the header in JSON, with the type, shape and
/// place of each tensor by its name, and under `__metadata__` text by keys; then the data, without holes.
public struct SafetensorsFile: Sendable {
    private enum Source {
        case file(OpenFile)
        case memory([UInt8])
    }

    /// The tensors, in the order of their data.
    public let entries: [SafetensorsEntry]
    /// Text by key.
    public let metadata: [String: String]
    /// Whether the file has a checksum of each tensor, which is checked when the tensor is read.
    ///
    /// Whoever knows that it was written with them should insist: damage to the name that they go by hides them.
    public var hasChecksums: Bool { checksums != nil }
    /// Where the file is, for messages.
    public let path: String

    private let positions: [String: Int]
    private let checksums: SafetensorsChecksums?
    private let source: Source
    private let dataOffset: Int

    /// Opens a file.
    ///
    /// - Throws: `DescentError` with code `fileAccess` if it cannot be read, or is a folder, a pipe or a
    ///   device; with code `invalidFile`, the path and the tensor if it is not what the format says.
    public init(contentsOf path: String) throws(DescentError) {
        let file = try OpenFile(path)
        try self.init(.file(file), byteCount: file.byteCount, path: path)
    }

    /// Reads a file that is in memory.
    ///
    /// - Parameters:
    ///   - bytes: All of its bytes.
    ///   - path: What to call it in messages.
    /// - Throws: `DescentError` with code `invalidFile`, as ``init(contentsOf:)`` does.
    public init(bytes: [UInt8], path: String = "bytes in memory") throws(DescentError) {
        try self.init(.memory(bytes), byteCount: bytes.count, path: path)
    }

    private init(_ source: Source, byteCount: Int, path: String) throws(DescentError) {
        do throws(DescentError) {
            guard byteCount >= 8 else {
                throw DescentError(.invalidFile, "it has \(byteCount) bytes, less than the eight of a header's length.")
            }
            let length = try Self.withBytes(source, at: 0, count: 8) { bytes in
                UInt64(littleEndian: bytes.load(as: UInt64.self))
            }
            guard length <= SafetensorsHeader.maximumByteCount, length <= byteCount - 8 else {
                throw DescentError(
                    .invalidFile,
                    "it claims to have a header of \(length) bytes; of the file's \(byteCount) bytes, "
                        + "\(byteCount - 8) are left for it, and at most \(SafetensorsHeader.maximumByteCount) allowed."
                )
            }
            dataOffset = 8 + Int(length)
            let dataByteCount = byteCount - dataOffset
            let header = try Self.withBytes(source, at: 8, count: Int(length)) { text throws(DescentError) in
                try SafetensorsHeader(json: text, dataByteCount: dataByteCount)
            }
            checksums = try SafetensorsChecksums(checking: header)
            entries = header.entries
            metadata = header.metadata
            positions = Dictionary(uniqueKeysWithValues: zip(entries.map(\.name), entries.indices))
        } catch {
            guard error.code != .fileAccess else { throw error }
            throw DescentError(
                .invalidFile, parameter: error.parameter,
                "\"\(path)\" is not a valid safetensors file: \(error.message)")
        }
        self.path = path
        self.source = source
    }

    /// The tensor with a name; nil if there is none.
    public subscript(name: String) -> SafetensorsEntry? { positions[name].map { entries[$0] } }
}

// MARK: Reading tensors

extension SafetensorsFile {
    /// Reads the bytes of a tensor straight into memory of the caller's: elements in row-major order, little-endian.
    ///
    /// - Parameters:
    ///   - entry: One of ``entries``.
    ///   - buffer: As many bytes as the entry has; their contents are undefined if this throws.
    /// - Throws: `DescentError` with code `fileAccess` if the file cannot be read, or `invalidFile` if it
    ///   was cut short meanwhile, or if the bytes do not have the checksum that they were written with.
    public func read(
        _ entry: SafetensorsEntry, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DescentError) {
        stopUnless(buffer.count == entry.byteCount, "A tensor of \(entry.byteCount) bytes fits no \(buffer.count).")
        try Self.read(source, at: dataOffset + entry.range.lowerBound, into: buffer)
        try check(UnsafeRawBufferPointer(buffer), of: entry)
    }

    private func check(_ bytes: UnsafeRawBufferPointer, of entry: SafetensorsEntry) throws(DescentError) {
        guard let expected = checksums?[entry.name] else { return }
        guard XXHash64.checksum(bytes) == expected else {
            throw DescentError(
                .invalidFile, parameter: entry.name,
                "The tensor \(entry.name.quotedBriefly) in \"\(path)\" is damaged: its bytes do not have the checksum that they "
                    + "were written with.")
        }
    }

    /// Gives the bytes of a tensor to a closure: elements in row-major order, little-endian, aligned to 64 bytes.
    ///
    /// They are in memory only while the closure runs.
    ///
    /// - Throws: `DescentError` as ``read(_:into:)`` does, or what the closure throws.
    public func withBytes<Result>(
        of entry: SafetensorsEntry, _ body: (UnsafeRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try Self.withBytes(source, at: dataOffset + entry.range.lowerBound, count: entry.byteCount) {
            bytes throws(DescentError) in
            try check(bytes, of: entry)
            return try body(bytes)
        }
    }

    private static func withBytes<Result>(
        _ source: Source, at offset: Int, count: Int,
        _ body: (UnsafeRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
        defer { buffer.deallocate() }
        try read(source, at: offset, into: buffer)
        return try body(UnsafeRawBufferPointer(buffer))
    }

    private static func read(
        _ source: Source, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DescentError) {
        switch source {
        case .file(let file): try file.read(at: offset, into: buffer)
        case .memory(let bytes):
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
            }
        }
    }
}
