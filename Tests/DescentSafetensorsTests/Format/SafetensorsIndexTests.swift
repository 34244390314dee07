import AllocationCounter
import Descent
import DescentSafetensors
import Foundation
import TestSupport
import Testing

/// Tensors in several files, and the index that says what is where.
@Suite struct SafetensorsIndexTests {
    private let folder: TemporaryFolder
    private var path: String { folder["model.safetensors.index.json"] }

    init() throws { folder = try TemporaryFolder() }

    /// Writes an index.
    private func index(_ holders: [String: Any], metadata: Any? = nil) throws {
        let members = ["weight_map": holders].merging(metadata.map { ["metadata": $0] } ?? [:]) { first, _ in first }
        _ = try folder.write(
            Array(JSONSerialization.data(withJSONObject: members, options: [.sortedKeys])),
            to: "model.safetensors.index.json")
    }

    /// Saves some tensors of a set as a shard, as other programs do.
    private func shard(_ name: String, _ tensors: TensorSet, _ parameters: [Int], metadata: [String: String] = [:])
        throws
    {
        var writer = SafetensorsWriter(metadata: metadata, writesChecksums: false)
        for index in parameters {
            let parameter = tensors.layout[index]
            try writer.add(parameter.name, .float32, shape: parameter.shape) { body throws(DescentError) in
                try tensors.withBytes(of: index, body)
            }
        }
        try writer.write(to: folder[name])
    }

    /// A model in two files, as Hugging Face's Transformers save it.
    private func model() throws -> TensorSet {
        let tensors = TensorSet.random(try makeLayout([[4, 3], [4], [2, 4]]), seed: 1)
        try shard("model-00001-of-00002.safetensors", tensors, [0, 1], metadata: ["format": "pt"])
        try shard("model-00002-of-00002.safetensors", tensors, [2], metadata: ["format": "pt"])
        try index(
            [
                "layer0.weight": "model-00001-of-00002.safetensors", "layer0.bias": "model-00001-of-00002.safetensors",
                "layer1.weight": "model-00002-of-00002.safetensors",
            ], metadata: ["total_size": 96, "total_parameters": 24])
        return tensors
    }

    private func opened() throws -> SafetensorsFile { try SafetensorsFile(contentsOf: path) }

    @Test func `a model in several files is read as if it were in one`() throws {
        let tensors = try model()
        let file = try opened()
        #expect(file.entries.map(\.name) == ["layer0.weight", "layer0.bias", "layer1.weight"])
        #expect(file.metadata.isEmpty)
        #expect(!file.hasChecksums)
        #expect(file.path == path)
        #expect(file["layer1.weight"]?.shape == [2, 4])
        #expect(try TensorSet(contentsOf: path).bits == tensors.bits)
        var loaded = TensorSet(zeros: tensors.layout)
        try loaded.load(contentsOf: path)
        #expect(loaded.bits == tensors.bits)
    }

    @Test func `an index may be a link, with files that are links beside it, as in Hugging Face's cache`() throws {
        let tensors = try model()
        let manager = FileManager.default
        for name in ["blobs", "snapshot", "elsewhere"] {
            try manager.createDirectory(atPath: folder[name], withIntermediateDirectories: true)
        }
        for (number, name) in try folder.contents.filter({ $0.hasPrefix("model") }).enumerated() {
            try manager.moveItem(atPath: folder[name], toPath: folder["blobs/\(number)"])
            try manager.createSymbolicLink(
                atPath: folder["snapshot/\(name)"], withDestinationPath: "../blobs/\(number)")
        }
        let link = folder["snapshot/model.safetensors.index.json"]
        #expect(try TensorSet(contentsOf: link).bits == tensors.bits)
    }

    @Test func `a file of tensors whose first byte is that of JSON is no index`() throws {
        let header = #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#
        let padding = [UInt8](repeating: 0x20, count: Int(UInt8(ascii: "{")) - header.utf8.count)
        let bytes = [UInt8(ascii: "{"), 0, 0, 0, 0, 0, 0, 0] + Array(header.utf8) + padding + [7, 8]
        let file = try SafetensorsFile(contentsOf: try folder.write(bytes, to: "t"))
        #expect(file["a"]?.shape == [2])
    }

    @Test func `what is not listed is not there`() throws {
        let tensors = try model()
        try index(["layer0.bias": "model-00001-of-00002.safetensors"])
        #expect(try opened().entries.map(\.name) == ["layer0.bias"])
        var loaded = tensors
        let error = thrownError { try loaded.load(contentsOf: path) }
        #expect(error?.code == .missingParameter)
        try index([:])
        #expect(try opened().entries.isEmpty)
    }

    @Test func `parts of tensors are read, and the checksum is that of the whole`() throws {
        let layout = try makeLayout([[700, 1_000]])
        let tensors = TensorSet.random(layout, seed: 1)
        for hasChecksums in [true, false] {
            var writer = SafetensorsWriter(writesChecksums: hasChecksums)
            try writer.add(tensors)
            try writer.write(to: folder["t"])
            let file = try SafetensorsFile(contentsOf: folder["t"])
            let entry = file.entries[0]
            let parts = [0..<1, 3..<9, 1_048_570..<1_048_580, 5..<2_100_000, 2_799_999..<2_800_000, 0..<2_800_000]
            func check() throws {
                for part in parts {
                    var bytes = [UInt8](repeating: 0, count: part.count)
                    try bytes.withUnsafeMutableBytes { try file.read(entry, bytes: part, into: $0) }
                    try tensors.withBytes(of: 0) { whole throws(DescentError) in
                        let expected = UnsafeRawBufferPointer(rebasing: whole[part])
                        #expect(bytes.withUnsafeBytes { memcmp($0.baseAddress!, expected.baseAddress!, $0.count) } == 0)
                    }
                }
            }
            _ = descent_take_largest_allocation()
            var few = [UInt8](repeating: 0, count: 10)
            try few.withUnsafeMutableBytes { try file.read(entry, bytes: 100..<110, into: $0) }
            #expect(descent_take_largest_allocation() <= 1 << 20 + 64)
            try check()
            var damaged = try folder.read("t")
            damaged[damaged.count - 1] ^= 1
            _ = try folder.write(damaged, to: "t")
            let reopened = try SafetensorsFile(contentsOf: folder["t"])
            let error = thrownError {
                try few.withUnsafeMutableBytes { try reopened.read(entry, bytes: 100..<110, into: $0) }
            }
            #expect(error?.parameter == (hasChecksums ? "layer0.weight" : nil))
        }
    }

    // MARK: What is refused

    @Test(arguments: [
        "", ".", "..", "../model-00001-of-00002.safetensors", "/etc/passwd", "folder/model.safetensors", "a\u{0}b",
    ])
    func `an index leads to no file outside of its folder`(_ name: String) throws {
        try index(["layer0.weight": name])
        let error = thrownError { _ = try opened() }
        #expect(error?.code == .invalidFile)
        #expect(error?.parameter == "layer0.weight")
        #expect(error?.message.hasPrefix("\"\(path)\" is not a valid index of safetensors files: ") == true)
        #expect(error?.message.contains("not the name of a file in its own folder") == true)
    }

    @Test(
        arguments: [
            (#"{"weight_map": []}"#, "expected \"{\""), (#"{"weight_map": {"a": 1}}"#, "expected a string"),
            (#"{"weight_map": {"a": "b", "a": "b"}}"#, "is there twice"), (#"{"metadata": {}}"#, "no \"weight_map\""),
            (#"{"weight_map": {}, "weight_map": {}}"#, "is there twice"), (#"{"weight_map": {}} x"#, "the end"),
            (#"{"metadata": 1, "weight_map": {}}"#, "expected \"{\""), (#"{"weight_map": {"#, "end of the text"),
            (#"{"metadata": {"descent.checksum": "0"}, "weight_map": {}}"#, "checksum does not match"),
            (#"{"a":"# + String(repeating: "[", count: 100_000), "nested more than"),
            (
                "{\"metadata\":{" + (0..<10_001).map { "\"\($0)\":\"\"" }.joined(separator: ",")
                    + "},\"weight_map\":{}}",
                "more than 10000"
            ),
        ])
    func `an index that is none is refused`(_ text: String, _ expectation: String) throws {
        _ = try folder.write(Array(text.utf8), to: "model.safetensors.index.json")
        let error = thrownError { _ = try opened() }
        #expect(error?.code == .invalidFile)
        #expect(error?.message.contains(path) == true)
        #expect(error?.message.contains(expectation) == true, "\(error?.message ?? "")")
    }

    @Test func `an index of more than the most bytes is refused before it is read`() throws {
        _ = try folder.write(Array("{\"weight_map\":{}}".utf8), to: "model.safetensors.index.json")
        truncate(path, 100_000_001)
        _ = descent_take_largest_allocation()
        let error = thrownError { _ = try opened() }
        #expect(error?.message.contains("100000001 bytes") == true)
        #expect(descent_take_largest_allocation() < 1 << 20)
    }

    @Test func `a file that is missing, no file of tensors, an index, or without its tensor is refused by name`() throws
    {
        let tensors = try model()
        let second = "model-00002-of-00002.safetensors"
        func error() -> DescentError? { thrownError { _ = try opened() } }
        try shard(second, tensors, [1])
        #expect(error()?.code == .invalidFile)
        #expect(error()?.parameter == "layer1.weight")
        #expect(error()?.message.contains("\"layer1.weight\" is in \"\(second)\", which has no such tensor") == true)
        try FileManager.default.removeItem(atPath: folder[second])
        #expect(error()?.code == .fileAccess)
        #expect(error()?.message == "Cannot read \"\(folder[second])\": No such file or directory.")
        for bytes in [Array("no file of tensors".utf8), try folder.read("model.safetensors.index.json"), []] {
            _ = try folder.write(bytes, to: second)
            #expect(error()?.code == .invalidFile)
            #expect(error()?.message.contains("\"\(folder[second])\" is not a valid safetensors file") == true)
        }
        try FileManager.default.removeItem(atPath: folder[second])
        try FileManager.default.createDirectory(atPath: folder[second], withIntermediateDirectories: true)
        #expect(error()?.message.contains("it is a folder") == true)
    }

    // MARK: An index that Descent writes

    private func written() throws -> SafetensorsIndex {
        var index = SafetensorsIndex()
        index.metadata = ["descent.save": "1f", "text \"é\"": "\n"]
        index.totalByteCount = 12
        index.holders = ["a": "x.safetensors", "b": "y.safetensors"]
        return index
    }

    @Test func `an index is read as it was written`() throws {
        let bytes = try written().bytes()
        let read = try SafetensorsIndex(json: bytes)
        #expect(read.metadata == (try written().metadata))
        #expect(read.holders == ["a": "x.safetensors", "b": "y.safetensors"])
        #expect(read.totalByteCount == 12)
        #expect(try read.bytes() == bytes)
    }

    @Test func `every flipped bit of an index is found, or changes nothing but white space`() throws {
        let bytes = try written().bytes()
        for position in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[position] ^= 1 << bit
                guard let index = try? SafetensorsIndex(json: damaged), index.hasChecksum else { continue }
                #expect(try index.bytes() == bytes, "bit \(bit) of byte \(position)")
            }
        }
    }
}
