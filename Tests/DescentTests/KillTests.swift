import Descent
import Foundation
import TestSupport
import Testing

/// A run that is killed again and again, and goes on from its checkpoint each time; `DESCENT_KILLS` says how often.
@Suite struct KillTests {
    /// Starts a run.
    private func start(_ folder: URL, microBatches: Int) throws -> ChildProcess {
        try ChildProcess("endurance", ["train", folder.path, "\(microBatches)"], beside: .module)
    }

    private func train(_ folder: URL, microBatches: Int) throws {
        try #require(start(folder, microBatches: microBatches).end() == .exit(0))
    }

    private func makeFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("descent-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test func `killed many times and resumed, a run ends with the bits of one that was never disturbed`() throws {
        let (folder, undisturbed) = (try makeFolder(), try makeFolder())
        defer { for folder in [folder, undisturbed] { try? FileManager.default.removeItem(at: folder) } }
        let checkpoint = folder.appendingPathComponent("run.safetensors").path
        var generator = SeededGenerator(seed: 1)
        // However slow the machine is now, a run gets to train now and then.
        let clock = ContinuousClock()
        let start = try clock.measure { try train(undisturbed, microBatches: 1) }
        let patience = max(
            0.06, 3 * Double(start.components.attoseconds) * 1e-18 + 3 * Double(start.components.seconds))
        let kills = ProcessInfo.processInfo.environment["DESCENT_KILLS"].flatMap { Int($0) } ?? 40
        for _ in 0..<kills {
            let process = try self.start(folder, microBatches: .max)
            // At any moment: while it starts, trains, writes, or renames.
            Thread.sleep(forTimeInterval: Double.random(in: 0..<patience, using: &generator))
            #expect(process.signal(SIGKILL))
            try #require(process.end() == .signal(SIGKILL), "it ended by itself")
            let left = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
            #expect(left.isSubset(of: ["run.safetensors", ".run.safetensors.partial"]))
        }
        let reached = try #require(Int(SafetensorsFile(contentsOf: checkpoint).metadata["microBatches"] ?? ""))
        try #require(reached > kills, "the run was killed before it got anywhere")

        try train(folder, microBatches: reached + 50)
        try train(undisturbed, microBatches: reached + 50)
        func bits(_ folder: URL) throws -> [UInt32] {
            try TensorSet(contentsOf: folder.appendingPathComponent("result.safetensors").path).bits
        }
        #expect(try bits(folder) == bits(undisturbed), "after \(reached + 50) micro-batches")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 2)
    }
}
