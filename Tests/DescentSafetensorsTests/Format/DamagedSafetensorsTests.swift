import AllocationCounter
import Descent
import DescentSafetensors
import Foundation
import TestSupport
import Testing

/// Files that are damaged, or that lie.
@Suite struct DamagedSafetensorsTests {
    private func open(_ bytes: [UInt8]) throws -> DescentError {
        do {
            _ = try SafetensorsFile(bytes: bytes, path: "run.safetensors")
        } catch { return error }
        return try #require(nil, "the file was accepted")
    }

    private func saved() throws -> [UInt8] {
        var writer = SafetensorsWriter(metadata: ["state": #"{"lossScale":65536}"#])
        try writer.add(TensorSet.random(makeLayout([[2, 3], [2]]), seed: 1))
        return try writer.bytes()
    }

    /// Opens a file that has checksums, and reads all of it.
    private func read(_ bytes: [UInt8]) throws {
        let file = try SafetensorsFile(bytes: bytes)
        guard file.hasChecksums else { throw DescentError(.invalidFile, "There are no checksums.") }
        for entry in file.entries { try file.withBytes(of: entry) { _ in } }
    }

    @Test(
        arguments: [
            // Offsets.
            (
                #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
                12, "b", "begins at byte 4 of the data, before the tensor before it ends at 8"
            ),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
                12, "b", "begins at byte 8 of the data, and nothing is said of the bytes from 4 on"
            ),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "a",
                "nothing is said of the bytes from 0 on"
            ),
            (
                #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7, "a",
                "ends at byte 8 of the data, of which"
            ),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9, nil, "tensors fill 8 bytes of data, but 9"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "a", "which are no begin and end"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, 8, "a", "which are no begin and end"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#, 8, "a", "more than 2 numbers"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, 8, "a", "-8 in its data_offsets"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-0,8]}}"#, 8, "a", "-0 in its data_offsets"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8.0]}}"#, 8, "a", "8.0 in its data_offsets"),
            (
                #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,18446744073709551616]}}"#, 1, "a",
                "18446744073709551615 in its data_offsets"
            ),
            (
                #"{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}"#, 1, "a",
                "ends at byte 9223372036854775807"
            ),
            // Shapes.
            (
                #"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#, 8, "a",
                "more elements than"
            ),
            (
                #"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, 0, "a",
                "more elements than"
            ),
            (
                #"{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}"#, 0, "a",
                "more elements than"
            ),
            (#"{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}"#, 8, "a", "-2 in its shape"),
            (#"{"a":{"dtype":"F32","shape":[1e1],"data_offsets":[0,40]}}"#, 40, "a", "1e1 in its shape"),
            (
                #"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "a",
                "8 bytes, but F32 of shape [3] makes 12"
            ),
            (#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,0]}}"#, 0, "a", "0 bytes, but F32 of shape [] makes 4"),
            // Types and keys.
            (#"{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}"#, 1, "a", "elements of type \"F4\""),
            (#"{"a":{"dtype":"float32","shape":[2],"data_offsets":[0,8]}}"#, 8, "a", "elements of type \"float32\""),
            (#"{"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}}"#, 8, nil, "expected a string, found \"7\""),
            (#"{"a":{"dtype":"F32","shape":[2]}}"#, 8, "a", "lacks one of dtype, shape and data_offsets"),
            (#"{"a":[]}"#, 0, nil, "expected \"{\", found \"[\""),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
                8, nil, "the key \"a\" is there twice"
            ),
            (
                #"{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}"#, 4, nil,
                "\"dtype\" is there twice"
            ),
            (#"{"__metadata__":{"a":1}}"#, 0, nil, "expected a string, found \"1\""),
            (#"{"__metadata__":{"a":"1","a":"2"}}"#, 0, nil, "the key \"a\" is there twice"),
            (#"{"__metadata__":{},"__metadata__":{}}"#, 0, nil, "is there twice"),
            // JSON.
            ("", 0, nil, "does not begin with \"{\""), (" {}", 0, nil, "does not begin with \"{\""),
            ("[]", 0, nil, "does not begin with \"{\""), ("{} x", 0, nil, "expected the end of the text"),
            (#"{"a":{"dtype":"F32","#, 0, nil, "found the end of the text"),
            ("{\"a\\ud800\":1}", 0, nil, "half of a surrogate pair"),
            (#"{"__metadata__":{"descent.checksums":"{}"}}"#, 0, nil, "missing setting \"algorithm\""),
            (#"{"__metadata__":{"descent.checksums":"no"}}"#, 0, nil, "expected \"{\""),
        ] as [(String, Int, String?, String)])
    func `a header that lies is refused, with the file and the tensor`(
        _ header: String, _ dataByteCount: Int, _ tensor: String?, _ expectation: String
    ) throws {
        let error = try open(file(header, dataByteCount: dataByteCount))
        #expect(error.code == .invalidFile)
        #expect(error.parameter == tensor)
        #expect(error.message.hasPrefix("\"run.safetensors\" is not a valid safetensors file: "))
        #expect(error.message.contains(expectation), "\(error)")
    }

    @Test(
        arguments: [
            0, 1, 7, 17, 100_000_001, 1 << 32, 1 << 63, .max, UInt64.max - 7,
        ] as [UInt64])
    func `a header's length that is none is refused`(_ length: UInt64) throws {
        let error = try open(withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array("{}".utf8))
        #expect(error.code == .invalidFile)
    }

    @Test func `deep and huge headers are refused without exhausting the stack`() throws {
        for text in [
            String(repeating: #"{"a":"#, count: 200_000), #"{"a":{"x":"# + String(repeating: "[", count: 200_000),
            #"{"a":{"shape":["# + String(repeating: "1,", count: 200_000),
            #"{"__metadata__":{"#
                + (0..<17_000).map { #""\#($0)":"""# }.joined(separator: ",") + "}}",
        ] {
            #expect(try open(file(text)).code == .invalidFile)
        }
    }

    @Test func `no header makes the reader allocate more at once than the file has bytes, or a mebibyte`() throws {
        func list(_ count: Int, _ item: (Int) -> String) -> String { (0..<count).map(item).joined(separator: ",") }
        let headers = [
            "{" + list(20_000) { "\"\($0)\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}" } + "}",
            "{\"__metadata__\":{" + list(10_000) { "\"\($0)\":\"\"" } + "}}",
            "{\"a\":{\"shape\":[" + list(500_000) { _ in "1" } + "]}}",
            "{\"a\":{\"note\":[" + list(500_000) { _ in "0" } + "]}}",
            "{\"a\":{\"note\":{" + list(50_000) { "\"\($0)\":0" } + "}}}",
            "{\"a\":{\"shape\":[" + String(repeating: "9", count: 1_000_000) + "]}}",
            "{\"" + String(repeating: "\\u00e9", count: 200_000) + "\":{}}",
        ]
        for header in headers {
            let bytes = file(header)
            _ = descent_take_largest_allocation()
            _ = try? SafetensorsFile(bytes: bytes)
            let largest = descent_take_largest_allocation()
            let isMetadata = header.hasPrefix("{\"__metadata__\"")
            // A string has a few bytes in front of its text.
            #expect(
                largest <= (isMetadata ? 1 << 20 : bytes.count) + 64,
                "\(header.prefix(40)): \(largest) of \(bytes.count)")
        }
    }

    @Test func `names that are not UTF-8 are refused`() throws {
        var bytes = file(#"{"aa":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, dataByteCount: 1)
        bytes[10] = 0xc3
        bytes[11] = 0x28
        #expect(try open(bytes).message.contains("not UTF-8"))
    }

    @Test func `a file cut short anywhere is refused`() throws {
        let bytes = try saved()
        for count in 0..<bytes.count { #expect(try open(Array(bytes[..<count])).code == .invalidFile) }
        #expect(try open(bytes + [0]).code == .invalidFile)
    }

    @Test func `every flipped bit is found`() throws {
        let bytes = try saved()
        try read(bytes)
        for position in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[position] ^= 1 << bit
                #expect(throws: DescentError.self, "bit \(bit) of byte \(position)") { try read(damaged) }
            }
        }
    }

    @Test func `metadata edited by somebody else is found, and without the checksums it is accepted`() throws {
        let original = try SafetensorsFile(bytes: saved())
        for drops in [false, true] {
            var metadata = original.metadata
            metadata["state"] = #"{"lossScale":1}"#
            if drops { metadata["descent.checksums"] = nil }
            // A writer without checksums drops old ones; write the header by hand, as another tool would.
            let fields = metadata.map { "\(quoted($0.key)):\(quoted($0.value))" }.joined(separator: ",")
            let tensors = original.entries.map {
                "\(quoted($0.name)):{\"dtype\":\"\($0.type.rawValue)\",\"shape\":\($0.shape),"
                    + "\"data_offsets\":[\($0.range.lowerBound),\($0.range.upperBound)]}"
            }
            let header = "{" + (["\"__metadata__\":{\(fields)}"] + tensors).joined(separator: ",") + "}"
            let bytes = file(header, dataByteCount: original.entries.reduce(0) { $0 + $1.byteCount })
            if drops {
                #expect(try SafetensorsFile(bytes: bytes).metadata == metadata)
            } else {
                #expect(try open(bytes).message.contains("somebody has edited it"))
            }
        }
    }

    private func quoted(_ text: String) -> String {
        "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
    }

    // MARK: Files

    @Test(arguments: [
        ("missing", "No such file or directory"), ("folder", "it is a folder"), ("pipe", "it is not a regular file"),
        ("missing/file", "No such file or directory"), ("empty", "it has 0 bytes"),
    ])
    func `what is no file is refused at once, with its path`(_ name: String, _ expectation: String) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder["folder"], withIntermediateDirectories: true)
        _ = try folder.write([], to: "empty")
        mkfifo(folder["pipe"], 0o600)
        do {
            _ = try SafetensorsFile(contentsOf: folder[name])
            Issue.record("It was accepted.")
        } catch {
            #expect(error.message.contains(folder[name]))
            #expect(error.message.contains(expectation))
            #expect(error.code == (name == "empty" ? .invalidFile : .fileAccess))
        }
        #expect(throws: DescentError.self) { try SafetensorsFile(contentsOf: "/dev/zero") }
    }

    @Test func `a damaged tensor is named, and no element changes`() throws {
        let folder = try TemporaryFolder()
        var tensors = TensorSet.random(try makeLayout([[2, 3], [2]]), seed: 1)
        try tensors.save(to: folder["t"])
        var bytes = try folder.read("t")
        bytes[bytes.count - 1] ^= 0x40
        let path = try folder.write(bytes, to: "t")
        let before = tensors.bits
        do {
            try tensors.load(contentsOf: path)
            Issue.record("It was loaded.")
        } catch {
            #expect(error.code == .invalidFile && error.parameter == "layer0.bias")
            #expect(error.message.contains(path))
        }
        #expect(tensors.bits == before)
    }

    @Test func `a file cut short while it is open is an error`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(try saved(), to: "t")
        let file = try SafetensorsFile(contentsOf: path)
        truncate(path, 100)
        do {
            try file.withBytes(of: try #require(file.entries.last)) { _ in }
            Issue.record("It was read.")
        } catch let error as DescentError { #expect(error.message.contains("cut short")) }
    }
}
