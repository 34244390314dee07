import DescentErrors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How the file is made that is written in place of another.
enum TemporaryFile {
    /// Makes the temporary file, locked; removes one that a killed process left, and waits while another is written.
    ///
    /// - Throws: ``DescentError`` with code `fileAccess`; after `limit` if another writer is not done.
    static func make(
        _ path: String, for target: ReplacedFile, waitingAtMost limit: Duration
    ) throws(DescentError) -> CInt {
        let start = ContinuousClock.now
        var pause: UInt32 = 500
        while true {
            if let descriptor = try create(path, for: target) { return descriptor }
            if try removeLeftover(path, for: target) { continue }
            guard ContinuousClock.now - start < limit else {
                throw DescentError(
                    .fileAccess,
                    "Cannot write \(target.path.quotedBriefly): after \(limit), another writer is not done with it.")
            }
            usleep(pause)
            pause = min(pause * 2, 20_000)
        }
    }

    /// Makes the file, if there is none, and locks it; nil if there is one, or another writer was faster.
    private static func create(_ path: String, for target: ReplacedFile) throws(DescentError) -> CInt? {
        let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let descriptor = retryingInterrupted { open(path, flags, target.firstPermissions) }
        guard descriptor >= 0 else {
            guard errno == EEXIST else { throw .fileAccess("write", target.path, inFolder: target.folder) }
            return nil
        }
        do throws(DescentError) {
            // Between these two calls another writer may have taken it for what a killed process left behind.
            if try lock(descriptor, path), isNamed(path, descriptor) { return descriptor }
        } catch {
            unlink(path)
            close(descriptor)
            throw error
        }
        close(descriptor)
        return nil
    }

    /// Removes the file unless it is being written; false if it is.
    private static func removeLeftover(_ path: String, for target: ReplacedFile) throws(DescentError) -> Bool {
        let descriptor = retryingInterrupted { open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) }
        guard descriptor >= 0 else {
            if errno == ENOENT { return true }
            let reason = errno == ELOOP ? "it is a symbolic link" : String(cString: strerror(errno))
            throw isInTheWay(path, of: target, reason)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw isInTheWay(path, of: target, "it is not a regular file")
        }
        guard try lock(descriptor, path) else { return false }
        // Whoever has the lock of the file of this name may remove it; another may have done so, and made a new one.
        if isNamed(path, descriptor) { unlink(path) }
        return true
    }

    private static func isInTheWay(_ path: String, of target: ReplacedFile, _ reason: String) -> DescentError {
        DescentError(
            .fileAccess, "Cannot write \(target.path.quotedBriefly): \(path.quotedBriefly) is in the way: \(reason).")
    }

    /// Locks an open file; false if another process has.
    ///
    /// A file system without locks always says yes.
    private static func lock(_ descriptor: CInt, _ path: String) throws(DescentError) -> Bool {
        if retryingInterrupted({ flock(descriptor, LOCK_EX | LOCK_NB) }) == 0 { return true }
        if errno == EWOULDBLOCK { return false }
        guard [ENOSYS, ENOTSUP, EOPNOTSUPP, ENOLCK].contains(errno) else {
            throw .fileAccess("lock", path)
        }
        return true
    }

    /// Whether a name is still that of an open file.
    private static func isNamed(_ path: String, _ descriptor: CInt) -> Bool {
        var opened = stat()
        var named = stat()
        return fstat(descriptor, &opened) == 0 && lstat(path, &named) == 0 && opened.st_ino == named.st_ino
            && opened.st_dev == named.st_dev
    }
}
