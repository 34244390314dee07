import DescentErrors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that is to be replaced or made: where it really is, and whose it is.
struct ReplacedFile {
    /// The path, of which no symbolic link is the last part.
    let path: String
    /// The path up to and including its last slash.
    let folder: String
    /// What comes after its last slash.
    let name: String
    /// What is known of the file; nil if there is none.
    private let status: stat?

    /// Finds a file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - model: A file whose owner and permissions it is to have if there is none yet.
    /// - Throws: ``DescentError`` with code `fileAccess` for what is not a regular file, and for a path that the operating
    ///   system would cut short at a zero byte.
    init(_ path: String, like model: String? = nil) throws(DescentError) {
        guard !path.utf8.contains(0) else { throw .zeroByte(in: path, "write") }
        let found = try Self.resolvingLinks(path)
        var status = stat()
        if stat(found, &status) == 0 {
            if status.st_mode & S_IFMT == S_IFDIR { throw .fileAccess("write", path, EISDIR) }
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw DescentError(.fileAccess, "Cannot replace \(path.quotedBriefly): it is not a regular file.")
            }
            self.status = status
        } else {
            guard errno == ENOENT else { throw .fileAccess("write", path) }
            self.status = try model.flatMap { model throws(DescentError) in try ReplacedFile(model).status }
        }
        self.path = found
        (folder, name) = Self.split(found)
    }

    /// How the names of temporary files end.
    static let temporarySuffix = ".partial"

    /// Where the temporary file is: `.NAME.partial`, or, where that is too long a name, one that begins like it.
    var temporaryPath: String {
        let limit = pathconf(folder.isEmpty ? "." : folder, CInt(_PC_NAME_MAX))
        let longest = limit > 0 ? limit : 255
        let suffix = Self.temporarySuffix
        guard name.utf8.count + 1 + suffix.utf8.count > longest else { return "\(folder).\(name)\(suffix)" }
        let checksum = String(Array(name.utf8).withUnsafeBytes(XXHash64.checksum), radix: 16)
        let room = longest - checksum.utf8.count - suffix.utf8.count - 2
        var beginning = name[...]
        while beginning.utf8.count > max(room, 0) { beginning.removeLast() }
        return "\(folder).\(beginning).\(checksum)\(suffix)"
    }

    /// The permissions that the temporary file is made with: no more than the file has, nor for anybody but its owner
    /// until it has the same one.
    var firstPermissions: mode_t { status.map { $0.st_mode & 0o600 } ?? 0o666 }

    /// Gives an open file the owner, the group and the permissions of this one, as far as that is allowed.
    func handOver(_ descriptor: CInt) throws(DescentError) {
        guard let status else { return }
        var own = stat()
        guard fstat(descriptor, &own) == 0 else { throw .fileAccess("write", path) }
        var permissions = status.st_mode & 0o777
        if own.st_uid != status.st_uid || own.st_gid != status.st_gid,
            fchown(descriptor, status.st_uid, status.st_gid) != 0,
            own.st_gid != status.st_gid, fchown(descriptor, uid_t.max, status.st_gid) != 0
        {
            // Members of another group may do what everybody may.
            permissions = permissions & 0o707 | (permissions & 0o7) << 3 & permissions
        }
        // What the file is not allowed to keep, it will do without.
        fchmod(descriptor, permissions)
    }

    /// The path up to and including its last slash, and what comes after it.
    static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
        let next = path.utf8.index(after: slash)
        return (String(path[..<next]), String(path[next...]))
    }

    /// The path that symbolic links lead to, also where there is no file.
    private static func resolvingLinks(_ path: String) throws(DescentError) -> String {
        if let resolved = realpath(path, nil) {
            defer { free(resolved) }
            return String(cString: resolved)
        }
        var path = path
        // As many as Linux follows.
        for _ in 0..<40 {
            guard let destination = try destination(of: path) else { return path }
            path = destination.hasPrefix("/") ? destination : split(path).folder + destination
        }
        throw .fileAccess("write", path, ELOOP)
    }

    /// Where a symbolic link points to; nil for what is none.
    private static func destination(of path: String) throws(DescentError) -> String? {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK else { return nil }
        // What does not fit makes the call fill the buffer.
        var bytes = [CChar](repeating: 0, count: 4_097)
        let count = readlink(path, &bytes, bytes.count)
        guard count >= 0 else { throw .fileAccess("write", path) }
        guard count < bytes.count else { throw .fileAccess("write", path, ENAMETOOLONG) }
        return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
