public import DescentErrors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that takes the place of another all at once, or not at all.
///
/// What is written goes to a temporary file beside the target, `.NAME.partial`. ``replace(_:waitingAtMost:writing:)``
/// then has it reach the disk, gives it the target's name, and has the folder reach the disk: whoever opens the target,
/// also after a crash or a power failure, finds the old contents or the new, whole.
///
/// The temporary file has the same name each time and is locked (`flock`) while it is written. So there is at most one,
/// what a killed process left behind is removed by the next write, and a second writer to the same target waits for
/// the first. It is always a new file, never one that another process has put there. Where a file system has no locks,
/// writers have to take turns by themselves.
public struct AtomicFile: ~Copyable {
    /// How much is buffered before it is written, so that many small writes cost few calls.
    private static let bufferByteCount = 1 << 18

    private let target: ReplacedFile
    private let temporary: String
    private let descriptor: CInt
    private var position = 0
    /// What comes before ``position`` and has not been written yet.
    private var buffer: [UInt8] = []
    private var isTemporary = true

    /// Replaces a file, or makes one, with what a closure writes.
    ///
    /// A symbolic link stays; the file that it points to is replaced, or made where there is none. An existing file's
    /// permissions are kept, and its owner and group as far as this process may set them; while it is written, and if
    /// they may not be set, nobody gains access to it who had none.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: How long to wait for another writer to the same file.
    ///   - write: What writes its contents.
    /// - Throws: `DescentError` with code `fileAccess`, the path and the operating system's reason, or what
    ///   the closure throws. The old file is whole then, and no temporary file is left.
    public static func replace(
        _ path: String, waitingAtMost limit: Duration = .seconds(60),
        writing write: (inout AtomicFile) throws(DescentError) -> Void
    ) throws(DescentError) {
        try replace(path, like: nil, waitingAtMost: limit, writing: write)
    }

    /// Replaces a file, or makes one that has the owner and permissions of another.
    package static func replace(
        _ path: String, like model: String?, waitingAtMost limit: Duration,
        writing write: (inout AtomicFile) throws(DescentError) -> Void
    ) throws(DescentError) {
        var file = try beginReplacing(path, like: model, waitingAtMost: limit)
        try write(&file)
        try file.commit()
    }

    /// Begins to replace a file, which ``commit()`` ends: no other writer to it begins before.
    ///
    /// - Throws: `DescentError` with code `fileAccess`.
    package static func beginReplacing(
        _ path: String, like model: String? = nil, waitingAtMost limit: Duration
    ) throws(DescentError) -> AtomicFile {
        let target = try ReplacedFile(path, like: model)
        let temporary = target.temporaryPath
        let descriptor = try TemporaryFile.make(temporary, for: target, waitingAtMost: limit)
        let file = AtomicFile(target: target, temporary: temporary, descriptor: descriptor)
        try target.handOver(descriptor)
        return file
    }

    private init(target: ReplacedFile, temporary: String, descriptor: CInt) {
        self.target = target
        self.temporary = temporary
        self.descriptor = descriptor
    }

    /// Appends bytes.
    ///
    /// - Throws: `DescentError` with code `fileAccess`, as for a full disk; perhaps only with a later call.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(DescentError) {
        if buffer.count + bytes.count > Self.bufferByteCount { try flush() }
        if bytes.count > Self.bufferByteCount / 2 {
            try write(bytes, at: position)
        } else {
            buffer.append(contentsOf: bytes)
        }
        position += bytes.count
    }

    /// Appends bytes.
    ///
    /// - Throws: `DescentError` with code `fileAccess`, as for a full disk; perhaps only with a later call.
    public mutating func write(_ bytes: [UInt8]) throws(DescentError) {
        try bytes.span.withUnsafeBytes { bytes throws(DescentError) in try write(bytes) }
    }

    /// Writes bytes over what was written before.
    ///
    /// - Precondition: The bytes end before `write(_:)` goes on.
    /// - Throws: `DescentError` with code `fileAccess`.
    public mutating func overwrite(at offset: Int, with bytes: UnsafeRawBufferPointer) throws(DescentError) {
        stopUnless(offset >= 0 && offset + bytes.count <= position, "Nothing has been written there yet.")
        try flush()
        try write(bytes, at: offset)
    }

    private mutating func flush() throws(DescentError) {
        guard !buffer.isEmpty else { return }
        try buffer.span.withUnsafeBytes { bytes throws(DescentError) in
            try write(bytes, at: position - bytes.count)
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DescentError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = retryingInterrupted {
                pwrite(descriptor, rest.baseAddress, min(rest.count, OpenFile.largestTransfer), off_t(offset + done))
            }
            guard count > 0 else { throw .fileAccess("write", target.path, count == 0 ? ENOSPC : errno) }
            done += count
        }
    }

    /// Has what was written reach the disk.
    ///
    /// - Throws: `DescentError` with code `fileAccess`.
    package mutating func synchronize() throws(DescentError) {
        try flush()
        guard hasReachedDisk(descriptor) else { throw .fileAccess("write", target.path) }
    }

    /// Has what was written reach the disk and take the place of the file.
    ///
    /// - Throws: `DescentError` with code `fileAccess`.
    package consuming func commit() throws(DescentError) {
        try synchronize()
        guard rename(temporary, target.path) == 0 else { throw .fileAccess("replace", target.path) }
        isTemporary = false
        let folderDescriptor = open(target.folder.isEmpty ? "." : target.folder, O_RDONLY | O_CLOEXEC)
        // A folder that may be written to but not read cannot be opened; its entries reach the disk later.
        guard folderDescriptor >= 0 else { return }
        defer { close(folderDescriptor) }
        // Some file systems cannot do this for folders, and say so.
        guard hasReachedDisk(folderDescriptor) || errno == EINVAL || errno == ENOTSUP else {
            throw .fileAccess("keep on disk the folder of", target.path)
        }
    }

    deinit {
        // Removed before the lock is released, so that no other writer has it open.
        if isTemporary { unlink(temporary) }
        close(descriptor)
    }
}

/// Waits until what was written has reached the disk; false if it cannot.
private func hasReachedDisk(_ descriptor: CInt) -> Bool {
    #if canImport(Darwin)
        if fcntl(descriptor, F_FULLFSYNC) == 0 { return true }
    #endif
    return retryingInterrupted { fsync(descriptor) } == 0
}
