public import DescentErrors

/// A safetensors file that is open to be read, or several of them that an index names, as one.
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
///
/// Large models are in several files, *shards*, and a `model.safetensors.index.json` says which tensor is in which of
/// them: `{"metadata": {}, "weight_map": {"fc.weight": "model-00001-of-00002.safetensors"}}`. Opened by the path of its
/// index, such a model reads like one file. An index may take several times its length in memory.
public struct SafetensorsFile: Sendable {
    enum Source {
        case file(OpenFile)
        case memory([UInt8])
        /// Open shards, and which of them holds each entry.
        case shards([SafetensorsFile], holders: [Int])
    }

    /// The tensors, in the order of their data; those of several files follow each other in the order of the files' names.
    public let entries: [SafetensorsEntry]
    /// Text by key: that of the index, where there are several files.
    public let metadata: [String: String]
    /// Whether the file has a checksum of each tensor, which is checked when the tensor is read.
    ///
    /// Whoever knows that it was written with them should insist: damage to the name that they go by hides them.
    public let hasChecksums: Bool
    /// Where the file or the index is, for messages.
    public let path: String

    private let positions: [String: Int]
    /// The checksums of the tensors, unless they are in shards, which have their own.
    private let checksums: SafetensorsChecksums?
    private let source: Source
    private let dataOffset: Int

    /// Opens a file, or an index and all files that it names, which are in its folder.
    ///
    /// - Throws: `DescentError` with code `fileAccess` if a file cannot be read, or is a folder, a pipe or a
    ///   device; with code `invalidFile`, the path and the tensor if it is not what the format says, or if a file is not one
    ///   of those that the index was written with.
    public init(contentsOf path: String) throws(DescentError) {
        let file = try OpenFile(path)
        if try file.isIndex {
            try self.init(index: file)
        } else {
            try self.init(file)
        }
    }

    /// Reads the header of an open file.
    init(_ file: OpenFile) throws(DescentError) {
        try self.init(.file(file), byteCount: file.byteCount, path: file.path)
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
        hasChecksums = checksums != nil
        self.path = path
        self.source = source
    }

    /// Takes what shards hold for one file's.
    init(
        shards: [SafetensorsFile], holding entries: [SafetensorsEntry], holders: [Int], metadata: [String: String],
        hasChecksums: Bool, path: String
    ) {
        self.entries = entries
        self.metadata = metadata
        self.hasChecksums = hasChecksums
        self.path = path
        positions = Dictionary(uniqueKeysWithValues: zip(entries.map(\.name), entries.indices))
        source = .shards(shards, holders: holders)
        checksums = nil
        dataOffset = 0
    }

    /// The tensor with a name; nil if there is none.
    public subscript(name: String) -> SafetensorsEntry? { positions[name].map { entries[$0] } }
}

// MARK: Reading tensors

extension SafetensorsFile {
    /// How much of a tensor is read at a time where only a part of it is wanted.
    private static let chunkByteCount = 1 << 20

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
        try read(entry, bytes: 0..<entry.byteCount, into: buffer)
    }

    /// Reads some of the bytes of a tensor.
    ///
    /// Where there is a checksum, all of the tensor's bytes are read, a mebibyte at a time, since it is of all of them.
    ///
    /// - Parameters:
    ///   - entry: One of ``entries``.
    ///   - part: Which of its bytes.
    ///   - buffer: As many bytes; their contents are undefined if this throws.
    /// - Throws: `DescentError`, as ``read(_:into:)`` does.
    public func read(
        _ entry: SafetensorsEntry, bytes part: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DescentError) {
        stopUnless(
            part.lowerBound >= 0 && part.upperBound <= entry.byteCount,
            "A tensor of \(entry.byteCount) bytes has no \(part).")
        stopUnless(buffer.count == part.count, "\(part.count) bytes of a tensor fit no \(buffer.count).")
        if case .shards(let shards, let holders) = source {
            return try shards[holders[position(of: entry)]].read(entry, bytes: part, into: buffer)
        }
        let start = dataOffset + entry.range.lowerBound
        guard let expected = checksums?[entry.name] else {
            return try Self.read(source, at: start + part.lowerBound, into: buffer)
        }
        guard part.count < entry.byteCount else {
            try Self.read(source, at: start, into: buffer)
            return try require(XXHash64.checksum(UnsafeRawBufferPointer(buffer)), expected, of: entry)
        }
        var hash = XXHash64()
        for offset in stride(from: 0, to: entry.byteCount, by: Self.chunkByteCount) {
            let count = min(Self.chunkByteCount, entry.byteCount - offset)
            try Self.withBytes(source, at: start + offset, count: count) { bytes in
                hash.update(bytes)
                let wanted = part.clamped(to: offset..<offset + count)
                guard !wanted.isEmpty else { return }
                UnsafeMutableRawBufferPointer(rebasing: buffer[(wanted.lowerBound - part.lowerBound)...])
                    .copyMemory(
                        from: UnsafeRawBufferPointer(
                            rebasing: bytes[wanted.lowerBound - offset..<wanted.upperBound - offset]))
            }
        }
        try require(hash.value, expected, of: entry)
    }

    private func position(of entry: SafetensorsEntry) -> Int {
        guard let position = positions[entry.name] else {
            stopForMisuse("\(entry.name.quotedBriefly) is no tensor of \"\(path)\".")
        }
        return position
    }

    private func require(
        _ checksum: UInt64, _ expected: UInt64, of entry: SafetensorsEntry
    ) throws(DescentError) {
        guard checksum == expected else {
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
        try Self.withMemory(entry.byteCount) { buffer throws(DescentError) in
            try read(entry, into: buffer)
            return try body(UnsafeRawBufferPointer(buffer))
        }
    }

    private static func withBytes<Result>(
        _ source: Source, at offset: Int, count: Int,
        _ body: (UnsafeRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        try withMemory(count) { buffer throws(DescentError) in
            try read(source, at: offset, into: buffer)
            return try body(UnsafeRawBufferPointer(buffer))
        }
    }

    private static func withMemory<Result>(
        _ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(DescentError) -> Result
    ) throws(DescentError) -> Result {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
        defer { buffer.deallocate() }
        return try body(buffer)
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
        case .shards: stopForMisuse("shards are read each by itself.")
        }
    }
}
