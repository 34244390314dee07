import Descent
import DescentSafetensors
import Foundation
import TestSupport
import Testing

@Suite struct AtomicFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Replaces a file with bytes, and gives back the error, if there was one.
    private static func replace(_ path: String, with bytes: [UInt8]) -> DescentError? {
        do throws(DescentError) {
            try AtomicFile.replace(path) { file throws(DescentError) in
                try file.write(bytes)
            }
            return nil
        } catch { return error }
    }

    @Test func `a file is made, replaced, and nothing is left beside it`() throws {
        #expect(Self.replace(folder["t"], with: [1, 2, 3]) == nil)
        #expect(try folder.read("t") == [1, 2, 3])
        #expect(Self.replace(folder["t"], with: [4]) == nil)
        #expect(try folder.read("t") == [4])
        #expect(try folder.contents == ["t"])
    }

    @Test func `what was written can be written over before the file takes its place`() throws {
        let last: [UInt8] = [4, 5]
        try AtomicFile.replace(folder["t"]) { file throws(DescentError) in
            try file.write([1, 2, 3])
            try file.write(last)
            try last.span.withUnsafeBytes { bytes throws(DescentError) in try file.overwrite(at: 1, with: bytes) }
        }
        #expect(try folder.read("t") == [1, 4, 5, 4, 5])
    }

    @Test func `a writer that fails leaves the old file whole and nothing beside it`() throws {
        let path = try folder.write([1, 2, 3], to: "t")
        #expect(throws: DescentError(.invalidWeight, "Mine.")) {
            try AtomicFile.replace(path) { file throws(DescentError) in
                let junk = [UInt8](repeating: 9, count: 100_000)
                try file.write(junk)
                throw DescentError(.invalidWeight, "Mine.")
            }
        }
        #expect(try folder.read("t") == [1, 2, 3])
        #expect(try folder.contents == ["t"])
    }

    @Test func `what a killed process left behind is overwritten`() throws {
        _ = try folder.write([UInt8](repeating: 7, count: 1_000), to: ".t.partial")
        #expect(Self.replace(folder["t"], with: [1]) == nil)
        #expect(try folder.contents == ["t"])
        #expect(try folder.read("t") == [1])
    }

    @Test func `a symbolic link stays, and permissions too`() throws {
        let path = try folder.write([1], to: "target")
        chmod(path, 0o640)
        symlink("target", folder["link"])
        #expect(Self.replace(folder["link"], with: [2]) == nil)
        #expect(try folder.read("target") == [2])
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder["link"]) == "target")
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o640)
        #expect(try folder.contents == ["link", "target"])
    }

    @Test(arguments: [
        ("folder", "Is a directory"), ("missing/t", "/missing\"; make it first."), ("file/t", "Not a directory"),
        ("pipe", "it is not a regular file"), ("hindered", ".hindered.partial\" is in the way"),
    ])
    func `what cannot be replaced is refused, with its path`(_ name: String, _ expectation: String) throws {
        for folderName in ["folder", ".hindered.partial"] {
            try FileManager.default.createDirectory(atPath: folder[folderName], withIntermediateDirectories: true)
        }
        _ = try folder.write([1], to: "file")
        mkfifo(folder["pipe"], 0o600)
        let before = try folder.contents
        let error = try #require(Self.replace(folder[name], with: [1]))
        #expect(error.code == .fileAccess)
        #expect(error.message.contains(folder[name]))
        #expect(error.message.contains(expectation) || name == "hindered" && error.message.contains("Is a directory"))
        #expect(try folder.contents == before)
    }

    @Test func `writers to one file take turns, and readers see one of them whole`() async throws {
        let path = folder["t"]
        #expect(Self.replace(path, with: [UInt8](repeating: 0, count: 10_000)) == nil)
        await withTaskGroup { group in
            for writer in 1...4 as ClosedRange<UInt8> {
                group.addTask {
                    for round in 0..<20 {
                        let count = 10_000 + Int(writer) * 1_000 + round
                        #expect(Self.replace(path, with: [UInt8](repeating: writer, count: count)) == nil)
                    }
                }
            }
            group.addTask {
                for _ in 0..<200 {
                    let bytes = FileManager.default.contents(atPath: path).map(Array.init) ?? []
                    #expect(bytes.count >= 10_000 && Set(bytes).count == 1)
                    #expect(bytes.count / 1_000 == 10 + Int(bytes.first ?? 0))
                }
            }
        }
        #expect(try folder.contents == ["t"])
    }

    @Test func `a symbolic link to a file that is not there yet is written through`() throws {
        try FileManager.default.createDirectory(atPath: folder["data"], withIntermediateDirectories: true)
        symlink("second", folder["first"])
        symlink("data/t", folder["second"])
        #expect(Self.replace(folder["first"], with: [1]) == nil)
        #expect(try folder.read("data/t") == [1])
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder["first"]) == "second")
        #expect(try folder.contents == ["data", "first", "second"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder["data"]) == ["t"])
    }

    @Test func `symbolic links in a circle, or to a folder that is not there, are refused`() throws {
        symlink("b", folder["a"])
        symlink("a", folder["b"])
        symlink("nowhere/t", folder["c"])
        #expect(Self.replace(folder["a"], with: [1])?.message.contains("symbolic links") == true)
        let missing = "there is no folder \"\(folder["nowhere"])\""
        #expect(Self.replace(folder["c"], with: [1])?.message.contains(missing) == true)
        #expect(try folder.contents == ["a", "b", "c"])
    }

    @Test func `a link in place of the temporary file is not followed, nor is one file's name given to another's data`()
        throws
    {
        let other = try folder.write([7], to: "other")
        symlink(other, folder[".t.partial"])
        let error = Self.replace(folder["t"], with: [1])
        #expect(error?.code == .fileAccess)
        #expect(error?.message.hasSuffix(".t.partial\" is in the way: it is a symbolic link.") == true)
        unlink(folder[".t.partial"])
        link(other, folder[".t.partial"])
        #expect(Self.replace(folder["t"], with: [1]) == nil)
        #expect(try folder.read("other") == [7])
        #expect(try folder.read("t") == [1])
    }

    @Test(arguments: [0o600, 0o640, 0o400, 0o666]) func `the temporary file never allows more than the file does`(
        _ permissions: Int
    ) throws {
        let path = try folder.write([1], to: "t")
        // What a killed process left may allow anything.
        chmod(try folder.write([1], to: ".t.partial"), 0o666)
        chmod(path, mode_t(permissions))
        var found: [Int] = []
        try AtomicFile.replace(path) { file throws(DescentError) in
            var status = stat()
            stat(folder[".t.partial"], &status)
            found.append(Int(status.st_mode & 0o777))
            try file.write([2])
        }
        #expect(found.allSatisfy { $0 & ~permissions == 0 })
        var status = stat()
        stat(path, &status)
        #expect(Int(status.st_mode & 0o777) == permissions)
    }

    @Test(.enabled(if: geteuid() == 0, "only root may give files away"))
    func `owner and group are kept where that is permitted`() throws {
        let path = try folder.write([1], to: "t")
        chmod(path, 0o640)
        try #require(chown(path, 12_345, 23_456) == 0)
        #expect(Self.replace(path, with: [2]) == nil)
        var status = stat()
        stat(path, &status)
        #expect((status.st_uid, status.st_gid) == (12_345, 23_456))
        #expect(status.st_mode & 0o777 == 0o640)
    }

    @Test(.enabled(if: geteuid() == 0, "only root may give files away"))
    func `a group that cannot be kept takes its permissions along`() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let path = try folder.write([1], to: "t")
            chmod(folder.path, 0o777)
            chmod(path, 0o664)
            chown(path, 12_345, 23_456)
            try #require(setegid(65_534) == 0 && seteuid(65_534) == 0)
            let error = AtomicFileTests.replace(path, with: [2])
            seteuid(0)
            #expect(error == nil)
            var status = stat()
            stat(path, &status)
            #expect(status.st_mode & 0o777 == 0o644)
        }
    }

    @Test func `names up to the file system's limit are written`() throws {
        for (index, letter) in ["n", "ä", "\u{1F388}"].enumerated() {
            let name = String(repeating: letter, count: 255 / letter.utf8.count - 1) + "\(index)"
            #expect(name.utf8.count >= 240)
            #expect(Self.replace(folder[name], with: [1]) == nil)
            #expect(Self.replace(folder[name], with: [2]) == nil)
            #expect(try folder.read(name) == [2])
        }
        #expect(try folder.contents.count == 3)
        let tooLong = folder[String(repeating: "n", count: 256)]
        #expect(Self.replace(tooLong, with: [1])?.message.contains("File name too long") == true)
    }

    @Test func `a name with a zero byte is refused`() throws {
        _ = try folder.write([1], to: "t")
        let error = Self.replace(folder["t\0.safetensors"], with: [2])
        #expect(error?.code == .fileAccess)
        #expect(error?.message.contains("zero byte") == true)
        #expect(throws: DescentError.self) { try SafetensorsFile(contentsOf: folder["t\0"]) }
        #expect(try folder.contents == ["t"])
        #expect(try folder.read("t") == [1])
    }

    @Test func `a lock that is held is waited for as long as was asked, and no longer`() throws {
        let path = try folder.write([1], to: "t")
        let partial = try folder.write([], to: ".t.partial")
        let descriptor = open(partial, O_RDWR)
        defer { close(descriptor) }
        try #require(flock(descriptor, LOCK_EX) == 0)
        let start = ContinuousClock.now
        let tensors = TensorSet.random(try makeLayout([[2]]), seed: 1)
        let error = #expect(throws: DescentError.self) {
            try tensors.save(to: path, waitingAtMost: .milliseconds(100))
        }
        #expect(error?.code == .fileAccess)
        #expect(error?.message.contains("another writer is not done with it") == true)
        #expect(ContinuousClock.now - start >= .milliseconds(100))
        #expect(try folder.read("t") == [1])
        #expect(try folder.contents == [".t.partial", "t"])
        // Released, it is what a killed process left behind.
        flock(descriptor, LOCK_UN)
        try tensors.save(to: path, waitingAtMost: .zero)
        #expect(try folder.contents == ["t"])
    }

    @Test func `many small pieces and large ones are written in their order`() throws {
        var expected: [UInt8] = []
        try AtomicFile.replace(folder["t"]) { file throws(DescentError) in
            for piece in 0..<3_000 {
                let count = piece % 500 == 0 ? 300_000 : piece % 97
                let bytes = [UInt8](repeating: UInt8(piece % 251), count: count)
                try file.write(bytes)
                expected += bytes
            }
            try [1, 2, 3].span.withUnsafeBytes { bytes throws(DescentError) in try file.overwrite(at: 7, with: bytes) }
            expected.replaceSubrange(7..<7 + 24, with: [1, 2, 3].flatMap { [UInt8($0), 0, 0, 0, 0, 0, 0, 0] })
            try file.write([9])
            expected.append(9)
        }
        #expect(try folder.read("t") == expected)
    }

    // MARK: Other processes

    @Test func `a process killed in mid-write leaves the old file whole, and the next write cleans up`() async throws {
        let path = NSTemporaryDirectory() + "descent-killed-\(getpid())"
        defer { for name in [path, Self.partial(path)] { unlink(name) } }
        for round in 1...3 as ClosedRange<UInt8> {
            #expect(Self.replace(path, with: [round]) == nil)
            await #expect(processExitsWith: .signal(SIGKILL)) {
                try AtomicFile.replace(NSTemporaryDirectory() + "descent-killed-\(getppid())") {
                    file throws(DescentError) in
                    try file.write([UInt8](repeating: 0, count: 50_000))
                    kill(getpid(), SIGKILL)
                }
            }
            #expect(FileManager.default.contents(atPath: path) == Data([round]))
            #expect(FileManager.default.fileExists(atPath: Self.partial(path)))
        }
        #expect(Self.replace(path, with: [9]) == nil)
        #expect(!FileManager.default.fileExists(atPath: Self.partial(path)))
    }

    @Test func `a file system that has no more room is an error, and the old file is whole`() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let path = try folder.write([1, 2, 3], to: "t")
            // A limit to the size of files stands for a full disk: it, too, cuts a write short and then refuses.
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 4_096, rlim_max: 4_096)
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let tensors = TensorSet.random(try makeLayout([[100, 100]]), seed: 1)
            do {
                try tensors.save(to: path)
                Issue.record("It was saved.")
            } catch let error as DescentError {
                #expect(error.code == .fileAccess)
                #expect(error.message == "Cannot write \"\(path)\": File too large.")
            }
            #expect(try folder.read("t") == [1, 2, 3])
            #expect(try folder.contents == ["t"])
        }
    }

    @Test func `a folder that may not be written to is an error, and the old file is whole`() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let path = try folder.write([1, 2, 3], to: "t")
            chmod(folder.path, 0o555)
            // Nothing is forbidden to root.
            if geteuid() == 0 { try #require(seteuid(65_534) == 0) }
            let error = AtomicFileTests.replace(path, with: [4])
            if getuid() == 0 { seteuid(0) }
            chmod(folder.path, 0o755)
            #expect(error?.code == .fileAccess)
            #expect(error?.message == "Cannot write \"\(path)\": Permission denied.")
            #expect(try folder.read("t") == [1, 2, 3])
            #expect(try folder.contents == ["t"])
        }
    }

    private static func partial(_ path: String) -> String {
        let url = URL(fileURLWithPath: path)
        return url.deletingLastPathComponent().appendingPathComponent(".\(url.lastPathComponent).partial").path
    }
}
