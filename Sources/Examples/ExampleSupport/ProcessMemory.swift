import Foundation

/// The memory that this process holds, program and libraries included.
///
/// On Linux the kernel's status file says it: `getrusage` there also counts the process that this one was started from.
/// Elsewhere only the most that has been is known. Where the system does not say, it is 0.
package enum ProcessMemory {
    /// The most bytes that have been resident.
    package static var peakResidentBytes: Int { bytes("VmHWM:") }

    /// How many bytes are resident now.
    package static var residentBytes: Int { bytes("VmRSS:") }

    private static func bytes(_ field: String) -> Int {
        #if os(Linux)
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix(field) }
            let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
            return (kilobytes ?? 0) * 1_024
        #else
            var usage = rusage()
            getrusage(RUSAGE_SELF, &usage)
            return usage.ru_maxrss
        #endif
    }
}
