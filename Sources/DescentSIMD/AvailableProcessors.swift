import CDescentKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// How many processors this process can keep busy: those that it may run on, within what its container is given.
enum AvailableProcessors {
    /// At least 1, and at most as many as the affinity of the calling thread allows; a quota is rounded down, because
    /// a thread more than that would have all of them stopped for part of each period.
    ///
    /// It is read anew each time, because affinity and quotas change while programs run.
    static var count: Int {
        #if os(Linux)
            let allowed = Int(descent_affinity_count())
            let processors = allowed > 0 ? allowed : onlineCount
            guard let groups = contents(ofFile: "/proc/self/cgroup"),
                let quota = ControlGroups(groups).quota(under: "/sys/fs/cgroup", contents(ofFile:))
            else { return processors }
            return min(processors, max(1, Int(min(quota, Double(processors)))))
        #else
            return onlineCount
        #endif
    }

    private static var onlineCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    #if os(Linux)
        /// The text of a file, up to 64 KB; nil if it cannot be read.
        static func contents(ofFile path: String) -> String? {
            guard let file = fopen(path, "re") else { return nil }
            defer { fclose(file) }
            return String(unsafeUninitializedCapacity: 65_536) { fread($0.baseAddress, 1, $0.count, file) }
        }
    #endif
}

/// The control groups of a process, by which Linux limits what containers use.
struct ControlGroups {
    /// The path in the unified hierarchy (version 2), and in that of the processor time's controller (version 1).
    private var unified: Substring?
    private var processorTime: Substring?

    /// Reads the text of `/proc/self/cgroup`: a line `number:controllers:path` for each hierarchy.
    init(_ text: String) {
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[0] == "0", fields[1].isEmpty { unified = fields[2] }
            if fields[1].split(separator: ",").contains("cpu") { processorTime = fields[2] }
        }
    }

    /// How many processors' time the process may use.
    ///
    /// The smallest limit counts, from the process's own group up to the root. In a container, whose own group is often
    /// mounted as the root, paths may name folders that are not there; their limits then stand at the root.
    ///
    /// - Parameters:
    ///   - root: Where control groups are mounted, `/sys/fs/cgroup` as a rule.
    ///   - contents: Gives the text of a file; nil if there is none.
    /// - Returns: The quota; nil if there is no limit.
    func quota(under root: String, _ contents: (_ path: String) -> String?) -> Double? {
        var limits: [Double] = []
        for mount in [root, root + "/unified"] {
            limits += Self.folders(from: unified, up: mount).compactMap { folder in
                contents(folder + "/cpu.max").flatMap(Self.quota(ofMaximum:))
            }
        }
        for mount in [root + "/cpu", root + "/cpu,cpuacct"] {
            limits += Self.folders(from: processorTime, up: mount).compactMap { folder in
                guard let quota = contents(folder + "/cpu.cfs_quota_us"),
                    let period = contents(folder + "/cpu.cfs_period_us")
                else { return nil }
                return Self.quota(quota, period)
            }
        }
        return limits.min()
    }

    /// The folders of a path and of all that hold it, up to the mount itself.
    private static func folders(from path: Substring?, up mount: String) -> [String] {
        guard let path else { return [] }
        var names = path.split(separator: "/")
        var folders = [mount]
        while !names.isEmpty {
            folders.append(mount + "/" + names.joined(separator: "/"))
            names.removeLast()
        }
        return folders
    }

    /// Reads `cpu.max`: a quota, or "max" for none, and the period that it is for.
    static func quota(ofMaximum text: String) -> Double? {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2 else { return nil }
        return quota(words[0], words[1])
    }

    /// A quota of time over its period; nil where it is none, such as "max" or -1.
    private static func quota(_ quota: some StringProtocol, _ period: some StringProtocol) -> Double? {
        func number(_ text: some StringProtocol) -> Double? {
            text.split(whereSeparator: \.isWhitespace).first.flatMap { Double($0) }
        }
        guard let quota = number(quota), let period = number(period), quota > 0, period > 0 else { return nil }
        let ratio = quota / period
        return ratio.isFinite ? ratio : nil
    }
}
