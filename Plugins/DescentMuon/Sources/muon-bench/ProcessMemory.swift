import Foundation

/// The memory that this process holds, program and libraries included.
enum ProcessMemory {
    /// The most bytes that have been resident; 0 where the system does not say.
    static var peakResidentBytes: Int {
        #if os(Linux)
            // Asked of the kernel's status file: `getrusage` also counts the process that this one was started from.
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
