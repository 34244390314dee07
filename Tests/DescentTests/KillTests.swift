import Descent
import Foundation
import TestSupport
import Testing

/// A run that is killed again and again, and goes on from its checkpoint each time.
@Suite struct KillTests {
    /// The program that trains, beside the tests.
    private let program = Bundle.module.bundleURL.deletingLastPathComponent().appendingPathComponent("endurance")

    /// Starts a run; `Process` needs a run loop to notice that one has ended.
    private func start(_ folder: URL, microBatches: Int) throws -> pid_t {
        let words = [program.path, "train", folder.path, "\(microBatches)"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var process = pid_t()
        let failure = posix_spawn(&process, program.path, nil, nil, arguments, nil)
        try #require(failure == 0)
        return process
    }

    /// Waits until a run has ended, and tells how.
    private func end(of process: pid_t) -> CInt {
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status
    }

    private func train(_ folder: URL, microBatches: Int) throws {
        let status = end(of: try start(folder, microBatches: microBatches))
        try #require(status == 0)
    }

    private func makeFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("descent-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test func `killed two hundred times and resumed, a run ends with the bits of one that was never disturbed`() throws
    {
        let (folder, undisturbed) = (try makeFolder(), try makeFolder())
        defer { for folder in [folder, undisturbed] { try? FileManager.default.removeItem(at: folder) } }
        let checkpoint = folder.appendingPathComponent("run.safetensors").path
        var generator = SeededGenerator(seed: 1)
        // However slow the machine is now, a run gets to train now and then.
        let clock = ContinuousClock()
        let start = try clock.measure { try train(undisturbed, microBatches: 1) }
        let patience = max(
            0.06, 3 * Double(start.components.attoseconds) * 1e-18 + 3 * Double(start.components.seconds))
        var kills = 0
        while kills < 200 {
            let process = try self.start(folder, microBatches: .max)
            // At any moment: while it starts, trains, writes, or renames.
            Thread.sleep(forTimeInterval: Double.random(in: 0..<patience, using: &generator))
            #expect(kill(process, SIGKILL) == 0)
            let status = end(of: process)
            try #require(status & 0x7f == SIGKILL, "it ended by itself")
            kills += 1
            let left = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
            #expect(left.isSubset(of: ["run.safetensors", ".run.safetensors.partial"]))
        }
        let reached = try #require(Int(SafetensorsFile(contentsOf: checkpoint).metadata["microBatches"] ?? ""))
        try #require(reached > 200, "the run was killed before it got anywhere")

        try train(folder, microBatches: reached + 50)
        try train(undisturbed, microBatches: reached + 50)
        func bits(_ folder: URL) throws -> [UInt32] {
            try TensorSet(contentsOf: folder.appendingPathComponent("result.safetensors").path).bits
        }
        #expect(try bits(folder) == bits(undisturbed), "after \(reached + 50) micro-batches")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 2)
    }
}
