import Descent
import DescentJSON
import TestSupport
import Testing

@testable import DescentSafetensors

/// What is written as text at once has to be what a tree of JSON values gives: old files are checked by it.
@Suite struct HeaderTextTests {
    /// Names with everything that JSON escapes, and in an order that is not theirs.
    private static let names =
        (0..<0x24 as Range<UInt32>).compactMap(Unicode.Scalar.init).map { "z\($0)" }
        + ["\"", "\\", "/", "\u{7f}", "\u{80}", "é", "\u{1F388}", "\u{2028}", "a", "B", "_"]

    private func text(_ file: [UInt8]) throws -> String {
        let length = file[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        return try #require(String(validating: file[8..<8 + length], as: UTF8.self))
    }

    @Test func `header and checksums are written as JSON's own text, sorted`() throws {
        var writer = SafetensorsWriter(metadata: Dictionary(uniqueKeysWithValues: Self.names.map { ($0, $0 + "\n") }))
        let layout = try ParameterLayout(Self.names.map { try ParameterDescription($0, shape: [$0.utf8.count, 2]) })
        try writer.add(TensorSet.random(layout, seed: 1))
        let bytes = try writer.bytes()
        let header = try text(bytes)
        let document = try JSON(parsing: header)
        #expect(document.description == header.trimmingSuffix(" "))
        let keys = try #require(document["__metadata__"]?.object?.keys)
        #expect(keys == (Self.names + ["descent.checksums"]).sorted())
        let checksums = try #require(document["__metadata__"]?["descent.checksums"]?.string)
        let parsed = try JSON(parsing: checksums)
        #expect(parsed.description == checksums)
        #expect(parsed.object?.keys == ["algorithm", "header", "tensors"])
        #expect(parsed["tensors"]?.object?.keys == Self.names.sorted())
        // The header's checksum is that of the header with zeros in its place.
        let found = try #require(parsed["header"]?.string)
        let blank = String(repeating: "0", count: 16)
        var reserved = Array(header.replacingFirst(found, with: blank).utf8)
        reserved = withUnsafeBytes(of: UInt64(reserved.count).littleEndian) { Array($0) } + reserved
        let expected = String(reserved.withUnsafeBytes(XXHash64.checksum), radix: 16)
        #expect(found == blank.dropLast(expected.count) + expected)
        _ = try SafetensorsFile(bytes: bytes)
    }

    @Test func `what is said of parameters is JSON's own text`() throws {
        let folder = try TemporaryFolder()
        let parameters = TensorSet(
            zeros: try ParameterLayout(
                Self.names.map { try ParameterDescription($0, shape: [2, 3], outputAxis: $0 == "a" ? .last : .first) }))
        let pipeline = try Pipeline(for: parameters) {
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
        try pipeline.checkpoint(to: folder["t"])
        let text = try #require(try SafetensorsFile(contentsOf: folder["t"]).metadata["descent.checkpoint"])
        let document = try JSON(parsing: text)
        #expect(document.description == text)
        #expect(
            document.object?.keys == [
                "formatVersion", "appliedSteps", "skippedSteps", "nonFiniteInARow", "parameters", "components",
            ])
        #expect(document["parameters"]?[0]?.object?.keys == ["name", "shape", "outputAxis"])
        let resumed = try Pipeline(resuming: folder["t"], for: parameters) {
            ClipByGlobalNorm(1)
        } driving: {
            AdamW()
        }
        #expect(resumed.layout == parameters.layout)
    }

    @Test func `an open checkpoint hands out what was saved with it, and resumes without its name`() throws {
        let folder = try TemporaryFolder()
        var parameters = TensorSet.random(try makeLayout([[3, 2]]), seed: 1)
        var pipeline = try Pipeline(for: parameters) {
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        for seed in 0..<3 as Range<UInt64> {
            _ = try pipeline.step(&parameters, gradients: .random(parameters.layout, seed: seed))
        }
        try pipeline.checkpoint(to: folder["t"], including: parameters, metadata: ["batches": "3"])
        let checkpoint = try Checkpoint(contentsOf: folder["t"])
        #expect(checkpoint.metadata == ["batches": "3"])
        #expect((checkpoint.appliedSteps, checkpoint.skippedSteps) == (1, 0))
        // It is open: another file of its name does not matter any more.
        _ = try folder.write([1], to: "other")
        try AtomicFile.replace(folder["t"]) { file throws(DescentError) in try file.write([1, 2, 3]) }
        var restored = TensorSet(zeros: parameters.layout)
        let resumed = try Pipeline(resuming: checkpoint, restoring: &restored) {
            Accumulate(steps: 2)
        } driving: {
            AdamW()
        }
        #expect(restored == parameters)
        #expect(resumed.appliedSteps == 1)
        #expect(throws: DescentError.self) { try Checkpoint(contentsOf: folder["t"]) }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: Character) -> String {
        var text = self
        while text.last == suffix { text.removeLast() }
        return text
    }

    fileprivate func replacingFirst(_ part: String, with other: String) -> String {
        guard let range = firstRange(of: part) else { return self }
        return replacingCharacters(in: range, with: other)
    }

    private func replacingCharacters(in range: Range<Index>, with other: String) -> String {
        String(self[..<range.lowerBound]) + other + self[range.upperBound...]
    }
}
