#if canImport(Darwin)
    @preconcurrency import Darwin
#elseif canImport(Glibc)
    @preconcurrency import Glibc
#elseif canImport(Musl)
    @preconcurrency import Musl
#endif

/// Stops the program because it is wrong, and says in what way, in release builds too.
///
/// For a mistake in the program that its user cannot handle, such as the name of a tensor that does not exist;
/// ``DescentError`` is for what can be handled. The reason is written to standard error as `Descent: reason`.
/// `preconditionFailure` would print nothing in a release build, and what the program had printed before, if into a pipe
/// or a file, would be lost with it; here it is written first.
///
/// - Parameters:
///   - reason: What is wrong, where, and what to do about it: whole sentences.
///   - file: The file to name before the reason.
///   - line: The line in it.
public func stopForMisuse(_ reason: String, file: StaticString = #fileID, line: UInt = #line) -> Never {
    fflush(stdout)
    fatalError("Descent: \(reason)", file: file, line: line)
}

/// Stops the program with ``stopForMisuse(_:file:line:)`` unless a condition holds.
///
/// - Parameters:
///   - condition: What has to hold; it is checked in every kind of build.
///   - reason: What is wrong if it does not; it is evaluated only then.
///   - file: The file to name before the reason.
///   - line: The line in it.
@inlinable
public func stopUnless(
    _ condition: Bool, _ reason: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
    guard condition else { stopForMisuse(reason(), file: file, line: line) }
}
