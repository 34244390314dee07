import Foundation
import Testing

@testable import DescentSIMD

@Suite struct AvailableProcessorsTests {
    /// Files that are not there are nil, as on a machine without them.
    private static func quota(_ groups: String, _ files: [String: String]) -> Double? {
        ControlGroups(groups).quota(under: "/c") { files[$0] }
    }

    @Test(
        arguments: [
            ("max 100000\n", nil), ("150000 100000\n", 1.5), ("50000 100000", 0.5), ("", nil), ("100000", nil),
            ("0 100000", nil), ("100000 0", nil), ("-1 100000", nil), ("nan 100000", nil), ("inf 1", nil), ("a b", nil),
            ("1 2 3", nil),
        ] as [(String, Double?)])
    func `a maximum is a quota over its period`(text: String, quota: Double?) {
        #expect(ControlGroups.quota(ofMaximum: text) == quota)
    }

    @Test func `the smallest quota of a group and of those that hold it counts`() {
        let groups = "0::/system.slice/train.service/worker\n"
        let unlimited = ["/c/system.slice/train.service/worker/cpu.max": "max 100000\n"]
        #expect(Self.quota(groups, unlimited) == nil)
        let above = [
            "/c/system.slice/train.service/cpu.max": "200000 100000\n", "/c/system.slice/cpu.max": "300000 100000",
        ]
        #expect(Self.quota(groups, unlimited.merging(above) { $1 }) == 2)
    }

    @Test func `a container whose group is mounted as the root finds its quota there`() {
        #expect(Self.quota("0::/\n", ["/c/cpu.max": "400000 100000\n"]) == 4)
        #expect(Self.quota("0::/docker/4f1c\n", ["/c/cpu.max": "400000 100000\n"]) == 4)
        #expect(Self.quota("0::/../../elsewhere\n", ["/c/cpu.max": "400000 100000\n"]) == 4)
    }

    @Test(arguments: ["cpu", "cpu,cpuacct"]) func `version 1 gives quota and period in two files`(mount: String) {
        let groups = "5:memory:/box\n4:cpu,cpuacct:/box\n0::/box\n"
        let folder = "/c/\(mount)/box"
        func quota(_ text: String) -> Double? {
            Self.quota(groups, ["\(folder)/cpu.cfs_quota_us": text, "\(folder)/cpu.cfs_period_us": "100000\n"])
        }
        #expect(quota("250000\n") == 2.5)
        #expect(quota("-1\n") == nil)
        #expect(Self.quota(groups, ["\(folder)/cpu.cfs_quota_us": "250000\n"]) == nil)
    }

    @Test(arguments: ["", "\n", "nonsense", "0:", "0::", "::::", "0::/a:b"])
    func `text that is not as it should be limits nothing`(text: String) {
        #expect(Self.quota(text, [:]) == nil)
    }

    @Test func `there is at least one processor, and no more than are online`() {
        #expect(AvailableProcessors.count >= 1)
        #expect(AvailableProcessors.count <= sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        #expect(SIMDBackend().threadCount == AvailableProcessors.count)
    }

    #if os(Linux)
        @Test func `a process that may run on one processor uses one thread`() async {
            await #expect(processExitsWith: .success) {
                // The header shows this function to programs in C that ask for it alone.
                typealias SetAffinity = @convention(c) (pid_t, Int, UnsafeRawPointer) -> Int32
                let address = try #require(dlsym(UnsafeMutableRawPointer(bitPattern: 0), "sched_setaffinity"))
                let setAffinity = unsafeBitCast(address, to: SetAffinity.self)
                let isPinned = (0..<1024).contains { processor in
                    var set = [UInt64](repeating: 0, count: 16)
                    set[processor / 64] = 1 << UInt64(processor % 64)
                    return setAffinity(0, 128, set) == 0
                }
                #expect(isPinned)
                #expect(SIMDBackend().threadCount == 1)
            }
        }
    #endif
}

@Suite struct SIMDBackendMisuseTests {
    private static func reason(_ result: ExitTest.Result?) -> String {
        String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    }

    @Test func `a backend without threads, or with fewer, says so before it stops, in release builds too`() async {
        let none = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = SIMDBackend(threads: 0)
        }
        #expect(Self.reason(none).contains("SIMDBackend needs at least one thread, not 0."))
        let fewer = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = SIMDBackend(threads: -3)
        }
        #expect(Self.reason(fewer).contains("SIMDBackend needs at least one thread, not -3."))
    }
}
