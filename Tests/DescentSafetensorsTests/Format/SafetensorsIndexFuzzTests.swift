import Descent
import DescentSafetensors
import Foundation
import TestSupport
import Testing

/// Indexes and shards that were damaged at random: read or refused, but never a trap.
@Suite struct SafetensorsIndexFuzzTests {
    @Test func `no index and no shard makes the reader trap`() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            try Fuzzing.run("safetensors index", count: 800) { _, draw in try Self.check(folder, &draw) }
        }
        Fuzzing.reportUnfinishedCase("safetensors index")
    }

    private static func check(_ folder: TemporaryFolder, _ draw: inout Fuzzing.Draw) throws {
        var index = SafetensorsIndex()
        index.metadata = ["descent.save": "1f", "state": "{}"]
        index.totalByteCount = draw.number(0...9)
        let shards = ["a.safetensors", "b.safetensors", "c.safetensors"]
        let damagedShard = draw.isLucky(oneIn: 3) ? draw.element(shards) : nil
        for shard in shards {
            var writer = SafetensorsWriter(metadata: ["descent.save": draw.isLucky(oneIn: 20) ? "2f" : "1f"])
            for tensor in 0..<draw.number(0...3) {
                let bytes = (0..<draw.number(1...4) * 4).map { _ in draw.byte() }
                try writer.add("\(shard) \(tensor)", .float32, shape: [bytes.count / 4]) { body throws(DescentError) in
                    try bytes.span.withUnsafeBytes(body)
                }
                index.holders["\(shard) \(tensor)"] = draw.isLucky(oneIn: 20) ? draw.element(shards) : shard
            }
            let bytes = try writer.bytes()
            _ = try folder.write(shard == damagedShard ? draw.damage(bytes) : bytes, to: shard)
        }
        var text = try index.bytes()
        if draw.isLucky(oneIn: 3) {
            // Without a checksum, damage gets further.
            let plain = String(decoding: text, as: UTF8.self).replacing(/"descent.checksum":"[0-9a-f]*",\n/, with: "")
            text = Array(plain.utf8)
        }
        let path = try folder.write(draw.isLucky(oneIn: 3) ? text : draw.damage(text), to: "index.json")
        let file: SafetensorsFile
        do throws(DescentError) { file = try SafetensorsFile(contentsOf: path) } catch {
            guard [.invalidFile, .fileAccess].contains(error.code) else { throw error }
            return
        }
        for entry in file.entries {
            do {
                try file.withBytes(of: entry) { bytes in precondition(bytes.count == entry.byteCount) }
            } catch {
                guard error.code == .invalidFile else { throw error }
            }
        }
    }
}
