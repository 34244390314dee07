import Foundation

/// What a measurement was made on.
enum Machine {
    /// The name of the processor, as the system has it: `model name` of /proc/cpuinfo, or `machdep.cpu.brand_string`; where
    /// it has none, the architecture.
    static var processor: String {
        #if os(Linux)
            let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
            let name = line?.split(separator: ":", maxSplits: 1).last?.trimmingCharacters(in: .whitespaces)
            return name ?? architecture
        #elseif canImport(Darwin)
            var length = 0
            guard sysctlbyname("machdep.cpu.brand_string", nil, &length, nil, 0) == 0 else { return architecture }
            var name = [UInt8](repeating: 0, count: length)
            guard sysctlbyname("machdep.cpu.brand_string", &name, &length, nil, 0) == 0 else { return architecture }
            return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
        #else
            return architecture
        #endif
    }

    /// The name of the system, and its version.
    static var operatingSystem: String { ProcessInfo.processInfo.operatingSystemVersionString }

    private static var architecture: String {
        #if arch(arm64)
            "arm64"
        #elseif arch(x86_64)
            "x86_64"
        #else
            "unknown"
        #endif
    }
}
