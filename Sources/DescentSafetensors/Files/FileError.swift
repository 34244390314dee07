import DescentErrors

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension DescentError {
    /// What the operating system refused to do with a file, and why.
    ///
    /// - Parameters:
    ///   - action: What was to be done: "write".
    ///   - path: The file.
    ///   - number: The operating system's number for the reason.
    /// - Returns: An error with code `fileAccess`.
    static func fileAccess(_ action: String, _ path: String, _ number: CInt = errno) -> DescentError {
        DescentError(.fileAccess, "Cannot \(action) \"\(path)\": \(String(cString: strerror(number))).")
    }

    /// What the operating system refused to do with a file in a folder, which may not be there.
    static func fileAccess(_ action: String, _ path: String, inFolder folder: String) -> DescentError {
        guard errno == ENOENT, folder.utf8.count > 1 else { return fileAccess(action, path) }
        return DescentError(
            .fileAccess,
            "Cannot \(action) \"\(path)\": there is no folder \"\(folder.dropLast())\"; make it first.")
    }

    /// A path with a zero byte in it, where the operating system would take it to end.
    static func zeroByte(in path: String, _ action: String) -> DescentError {
        DescentError(.fileAccess, "Cannot \(action) \(path.quotedBriefly): there is a zero byte in the path.")
    }
}

/// Calls a function of the operating system again for as long as a signal interrupts it.
///
/// - Returns: What the function returned last; -1 if it failed, with the reason in `errno`.
func retryingInterrupted<Count: SignedInteger>(_ call: () -> Count) -> Count {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}
