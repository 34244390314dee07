import DescentErrors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A regular file that is open to be read.
///
/// It is read and not mapped: a mapped file that another process truncates would end this one.
final class OpenFile: Sendable {
    /// The most that one call may read or write on every system.
    static let largestTransfer = 1 << 30

    let path: String
    let byteCount: Int
    private let descriptor: CInt

    /// Opens a file.
    ///
    /// - Throws: ``DescentError`` with code `fileAccess` if there is none, if it may not be read, or if it is a folder, a
    ///   pipe or a device; none of them is waited for.
    init(_ path: String) throws(DescentError) {
        guard !path.utf8.contains(0) else { throw .zeroByte(in: path, "read") }
        // Opening a pipe waits for a writer, unless it is told not to.
        let descriptor = retryingInterrupted { open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
        guard descriptor >= 0 else { throw .fileAccess("read", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let error = DescentError.fileAccess("read", path)
            close(descriptor)
            throw error
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "not a regular file"
            throw DescentError(.fileAccess, "Cannot read \"\(path)\": it is \(kind).")
        }
        self.path = path
        self.descriptor = descriptor
        byteCount = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// Fills memory with what the file has from an offset on.
    ///
    /// - Throws: ``DescentError`` with code `fileAccess`; with code `invalidFile` if the file ends before.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(DescentError) {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = retryingInterrupted {
                pread(descriptor, rest.baseAddress, min(rest.count, Self.largestTransfer), off_t(offset + done))
            }
            guard count >= 0 else { throw .fileAccess("read", path) }
            guard count > 0 else {
                throw DescentError(.invalidFile, "\"\(path)\" was cut short while it was being read.")
            }
            done += count
        }
    }

    /// All that the file has.
    ///
    /// - Throws: ``DescentError``, as ``read(at:into:)`` does.
    func contents() throws(DescentError) -> [UInt8] { try bytes(byteCount) }

    /// The first bytes of the file.
    ///
    /// - Throws: ``DescentError``, as ``read(at:into:)`` does.
    func bytes(_ count: Int) throws(DescentError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        try span.withUnsafeMutableBytes { buffer throws(DescentError) in try read(at: 0, into: buffer) }
        return bytes
    }
}
