import Foundation

/// The most memory that this process has held.
enum PeakMemory {
    /// In bytes, program and libraries included; 0 where the system does not say.
    ///
    /// On Linux the kernel's status file says it: `getrusage` there also counts the process that this one was started
    /// from.
    static var residentBytes: Int {
        #if os(Linux)
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
            let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
            return (kilobytes ?? 0) * 1_024
        #else
            var usage = rusage()
            getrusage(RUSAGE_SELF, &usage)
            return usage.ru_maxrss
        #endif
    }
}
