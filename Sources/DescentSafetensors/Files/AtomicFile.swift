public import DescentCore

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that takes the place of another all at once, or not at all.
///
/// What is written goes to a temporary file beside the target, `.NAME.partial`. ``replace(_:writing:)`` then has it
/// reach the disk, gives it the target's name, and has the folder reach the disk: whoever opens the target, also after
/// a crash or a power failure, finds the old contents or the new, whole.
///
/// The temporary file has the same name each time and is locked (`flock`) while it is written. So there is at most one,
/// what a killed process left behind is overwritten by the next write, and a second writer to the same target waits for
/// the first. A file system without locks leaves it to writers to take turns.
public struct AtomicFile: ~Copyable {
    private let target: String
    private let temporary: String
    private let descriptor: CInt
    private var position = 0
    private var isTemporary = true

    /// Replaces a file, or makes one, with what a closure writes.
    ///
    /// A symbolic link stays; the file that it points to is replaced. An existing file's permissions are kept.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - write: What writes its contents.
    /// - Throws: ``DescentCore/DescentError`` with code `fileAccess`, the path and the operating system's reason, or what
    ///   the closure throws. The old file is whole then, and no temporary file is left.
    public static func replace(
        _ path: String, writing write: (inout AtomicFile) throws(DescentError) -> Void
    ) throws(DescentError) {
        var file = try AtomicFile.begin(replacing: path)
        try file.empty()
        try write(&file)
        try file.commit()
    }

    /// Appends bytes.
    ///
    /// - Throws: ``DescentCore/DescentError`` with code `fileAccess`, as for a full disk.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(DescentError) {
        try write(bytes, at: position)
        position += bytes.count
    }

    /// Appends bytes.
    ///
    /// - Throws: ``DescentCore/DescentError`` with code `fileAccess`, as for a full disk.
    public mutating func write(_ bytes: [UInt8]) throws(DescentError) {
        try bytes.span.withUnsafeBytes { bytes throws(DescentError) in try write(bytes) }
    }

    /// Writes bytes over what was written before.
    ///
    /// - Precondition: The bytes end before ``write(_:)`` goes on.
    /// - Throws: ``DescentCore/DescentError`` with code `fileAccess`.
    public mutating func overwrite(at offset: Int, with bytes: UnsafeRawBufferPointer) throws(DescentError) {
        stopUnless(offset >= 0 && offset + bytes.count <= position, "Nothing has been written there yet.")
        try write(bytes, at: offset)
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DescentError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = retryingInterrupted {
                pwrite(descriptor, rest.baseAddress, min(rest.count, OpenFile.largestTransfer), off_t(offset + done))
            }
            guard count > 0 else { throw .fileAccess("write", target, count == 0 ? ENOSPC : errno) }
            done += count
        }
    }

    deinit {
        // Removed before the lock is released, so that no other writer has it open.
        if isTemporary { unlink(temporary) }
        close(descriptor)
    }
}

// MARK: Opening and committing

extension AtomicFile {
    private static func begin(replacing path: String) throws(DescentError) -> AtomicFile {
        var status = stat()
        let exists = stat(path, &status) == 0
        if exists, status.st_mode & S_IFMT == S_IFDIR { throw .fileAccess("write", path, EISDIR) }
        guard !exists || status.st_mode & S_IFMT == S_IFREG else {
            throw DescentError(.fileAccess, "Cannot replace \"\(path)\": it is not a regular file.")
        }
        let target = exists ? resolvingLinks(path) : path
        let (folder, name) = split(target)
        let temporary = folder + "." + name + ".partial"
        let descriptor = try openLocked(temporary, for: path)
        // What the file is not allowed to keep, it will do without.
        if exists { fchmod(descriptor, status.st_mode & 0o777) }
        return AtomicFile(target: target, temporary: temporary, descriptor: descriptor)
    }

    private init(target: String, temporary: String, descriptor: CInt) {
        self.target = target
        self.temporary = temporary
        self.descriptor = descriptor
    }

    /// Drops what an earlier process may have left in the temporary file.
    private func empty() throws(DescentError) {
        guard ftruncate(descriptor, 0) == 0 else { throw .fileAccess("write", target) }
    }

    /// Opens the temporary file and waits until nobody else writes to it.
    private static func openLocked(_ temporary: String, for path: String) throws(DescentError) -> CInt {
        while true {
            let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
            let descriptor = retryingInterrupted { open(temporary, flags, 0o666) }
            guard descriptor >= 0 else { throw .fileAccess("write", path) }
            let isLocked = retryingInterrupted { flock(descriptor, LOCK_EX) } == 0
            let isUnlockable = [ENOSYS, ENOTSUP, EOPNOTSUPP, ENOLCK].contains(errno)
            guard isLocked || isUnlockable else {
                let error = DescentError.fileAccess("lock", temporary)
                close(descriptor)
                throw error
            }
            // While this one waited, the other may have renamed or removed the file that was opened.
            var opened = stat()
            var named = stat()
            if fstat(descriptor, &opened) == 0, lstat(temporary, &named) == 0, opened.st_ino == named.st_ino,
                opened.st_dev == named.st_dev
            {
                if opened.st_mode & S_IFMT == S_IFREG { return descriptor }
                close(descriptor)
                throw DescentError(.fileAccess, "Cannot write \"\(path)\": \"\(temporary)\" is in the way.")
            }
            close(descriptor)
        }
    }

    private consuming func commit() throws(DescentError) {
        guard synchronize(descriptor) else { throw .fileAccess("write", target) }
        guard rename(temporary, target) == 0 else { throw .fileAccess("replace", target) }
        isTemporary = false
        let (folder, _) = Self.split(target)
        let folderDescriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
        // A folder that may be written to but not read cannot be opened; its entries reach the disk later.
        guard folderDescriptor >= 0 else { return }
        defer { close(folderDescriptor) }
        // Some file systems cannot do this for folders, and say so.
        guard synchronize(folderDescriptor) || errno == EINVAL || errno == ENOTSUP else {
            throw .fileAccess("keep on disk the folder of", target)
        }
    }

    /// The path up to and including its last slash, and what comes after it.
    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[...slash]), String(path[path.index(after: slash)...]))
    }

    private static func resolvingLinks(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}

/// Waits until what was written has reached the disk.
private func synchronize(_ descriptor: CInt) -> Bool {
    #if canImport(Darwin)
        if fcntl(descriptor, F_FULLFSYNC) == 0 { return true }
    #endif
    return retryingInterrupted { fsync(descriptor) } == 0
}
