import AllocationCounter
import Descent
import DescentSafetensors
import TestSupport
import Testing

/// Files that were damaged at random: read or refused, but never a trap.
@Suite struct SafetensorsFuzzTests {
    @Test func `no file makes the reader trap or allocate more than the file's size`() async {
        await #expect(processExitsWith: .success) {
            try Fuzzing.run("safetensors", count: 4_000) { seed, draw in
                let valid = try Self.file(&draw)
                let damaged = draw.isLucky(oneIn: 20) ? valid : draw.damageFile(valid)
                _ = descent_take_largest_allocation()
                let file = try? SafetensorsFile(bytes: damaged)
                let largest = descent_take_largest_allocation()
                // Swift's runtime may take 16 KiB for its own purposes.
                guard largest <= 16_384 + damaged.count else {
                    throw Fuzzing.Failure(description: "\(largest) bytes at once for a file of \(damaged.count)")
                }
                if let file { try Self.check(file, byteCount: damaged.count) }
                if damaged == valid, file == nil { throw Fuzzing.Failure(description: "a valid file is refused") }
            }
        }
        Fuzzing.reportUnfinishedCase("safetensors")
    }

    /// What has to hold of a file that was accepted.
    private static func check(_ file: SafetensorsFile, byteCount: Int) throws {
        var end = 0
        for entry in file.entries {
            let count = entry.shape.reduce(entry.type.byteCount, *)
            guard entry.range.lowerBound == end, entry.byteCount == count, file[entry.name] == entry else {
                throw Fuzzing.Failure(description: "\(entry) after byte \(end)")
            }
            end = entry.range.upperBound
            do {
                try file.withBytes(of: entry) { bytes in precondition(bytes.count == count) }
            } catch {
                guard file.hasChecksums, error.code == .invalidFile else { throw error }
            }
        }
        guard end + 8 <= byteCount else { throw Fuzzing.Failure(description: "\(end) bytes of data in \(byteCount)") }
        if file.entries.allSatisfy({ $0.type.elementType != nil }), let layout = try? ParameterLayout(file) {
            var tensors = TensorSet(zeros: layout)
            try? tensors.load(from: file)
        }
    }

    /// A valid file with a few tensors.
    private static func file(_ draw: inout Fuzzing.Draw) throws -> [UInt8] {
        var writer = SafetensorsWriter(
            metadata: draw.isLucky(oneIn: 2) ? [:] : ["state": "{\"scale\":65536}", "é": "\u{1}"],
            writesChecksums: draw.isLucky(oneIn: 2))
        for index in 0..<draw.number(0...5) {
            let type = draw.element(SafetensorsType.allCases)
            let shape = (0..<draw.number(0...3)).map { _ in draw.number(draw.isLucky(oneIn: 9) ? 0...1 : 1...4) }
            let bytes = (0..<shape.reduce(type.byteCount, *)).map { _ in draw.byte() }
            try writer.add("layer\(index / 2).\(index % 2)", type, shape: shape) { body throws(DescentError) in
                try bytes.span.withUnsafeBytes(body)
            }
        }
        return try writer.bytes()
    }
}

extension Fuzzing.Draw {
    /// Damages a file, most often in its header alone, with the length of the header mostly put right.
    fileprivate mutating func damageFile(_ file: [UInt8]) -> [UInt8] {
        if isLucky(oneIn: 4) { return damage(file) }
        let length = file[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = damage(Array(file[8..<8 + length]))
        let claimed = isLucky(oneIn: 10) ? generator.next() : UInt64(header.count)
        return withUnsafeBytes(of: claimed.littleEndian) { Array($0) } + header + file[(8 + length)...]
    }
}
