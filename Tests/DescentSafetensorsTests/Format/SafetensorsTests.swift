import Descent
import DescentSafetensors
import Foundation
import TestSupport
import Testing

@Suite struct SafetensorsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Runs a body that has to throw, and gives back the error.
    private func error(_ body: () throws -> Void) throws -> DescentError {
        do { try body() } catch { return try #require(error as? DescentError) }
        return try #require(nil, "nothing was thrown")
    }

    private func layout() throws -> ParameterLayout {
        try ParameterLayout([
            ParameterDescription("z.weight", shape: [3, 5]), ParameterDescription("a \"quoted\" é/名\n", shape: [2]),
            ParameterDescription("scalar", shape: []), ParameterDescription("empty", shape: [0, 3]),
            ParameterDescription("conv", shape: [2, 1, 2, 3]),
        ])
    }

    private func tensors(_ elementType: ElementType = .float32, seed: UInt64 = 3) throws -> TensorSet {
        var tensors = TensorSet(zeros: try layout(), elementType)
        for (name, values) in zip(tensors.layout.map(\.name), TensorSet.random(tensors.layout, seed: seed).arrays) {
            tensors[name] = values
        }
        return tensors
    }

    // MARK: What the reference implementation writes

    /// A file as safetensors 0.8 for Python writes it, with little-endian numbers.
    private static let reference: [UInt8] = {
        let header =
            #"{"__metadata__":{"framework":"numpy"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#
            + #""b.bias":{"dtype":"F32","shape":[2],"data_offsets":[24,32]},"#
            + #""empty":{"dtype":"F32","shape":[0,3],"data_offsets":[32,32]},"#
            + #""scalar":{"dtype":"F32","shape":[],"data_offsets":[32,36]},"#
            + #""half":{"dtype":"F16","shape":[2],"data_offsets":[36,40]},"#
            + #""quo\"te/é\n":{"dtype":"U8","shape":[3],"data_offsets":[40,43]}}"#
        let floats: [Float] = [0, 1, 2, 3, 4, 5, 1.5, -2, 7]
        let padding = [UInt8](repeating: 0x20, count: 7 - (header.utf8.count + 7) % 8)
        let length = UInt64(header.utf8.count + padding.count)
        return withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array(header.utf8) + padding
            + floats.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } }
            + [0x00, 0x3c, 0xff, 0x7b, 1, 2, 3]
    }()

    @Test func `a file that Python wrote is read`() throws {
        let file = try SafetensorsFile(bytes: Self.reference)
        #expect(file.metadata == ["framework": "numpy"])
        #expect(!file.hasChecksums)
        #expect(file.entries.map(\.name) == ["a.weight", "b.bias", "empty", "scalar", "half", "quo\"te/é\n"])
        #expect(file.entries.map(\.shape) == [[2, 3], [2], [0, 3], [], [2], [3]])
        #expect(file.entries.map(\.type) == [.float32, .float32, .float32, .float32, .float16, .uint8])
        #expect(file["missing"] == nil)
        let bias = try #require(file["b.bias"])
        #expect(try file.withBytes(of: bias) { $0.map { $0 } } == [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0])
    }

    @Test func `the same tensors give the bytes that Python wrote`() throws {
        let file = try SafetensorsFile(bytes: Self.reference)
        var writer = SafetensorsWriter(metadata: file.metadata, writesChecksums: false)
        for entry in file.entries.sorted(by: { $0.name < $1.name }) {
            // Python sorts by type, too: here half has the smaller elements and comes after the floats.
            try writer.add(entry.name, entry.type, shape: entry.shape) { body throws(DescentError) in
                try file.withBytes(of: entry, body)
            }
        }
        #expect(try writer.bytes() == Self.reference)
    }

    @Test func `keys that the format does not know are passed over, as the reference implementation does`() throws {
        let header = #"{"w":{"shape":[1],"note":{"a":[null]},"data_offsets":[0,1],"dtype":"I8"}}"#
        #expect(try SafetensorsFile(bytes: file(header, dataByteCount: 1)).entries.map(\.shape) == [[1]])
    }

    // MARK: There and back

    @Test(arguments: ElementType.allCases)
    func `tensors come back bit for bit, in order, with their metadata`(_ elementType: ElementType) throws {
        let tensors = try tensors(elementType)
        try tensors.save(to: folder["t"], metadata: ["step": "12", "é\"": "\n"])
        let loaded = try TensorSet(contentsOf: folder["t"])
        #expect(loaded.elementType == elementType)
        #expect(loaded.layout.map(\.name) == tensors.layout.map(\.name))
        #expect(loaded.layout.map(\.shape) == tensors.layout.map(\.shape))
        #expect(loaded.bits == tensors.bits)
        let metadata = try SafetensorsFile(contentsOf: folder["t"]).metadata
        #expect(metadata["step"] == "12" && metadata["é\""] == "\n")
    }

    @Test func `any backend's tensors are saved and loaded`() throws {
        let tensors = try tensors(.bfloat16)
        var plain = PlainTensors(tensors)
        try plain.save(to: folder["t"])
        #expect(try TensorSet(contentsOf: folder["t"]).bits == tensors.bits)
        plain = PlainTensors(tensors.layout)
        try plain.load(contentsOf: folder["t"])
        #expect(plain.values == tensors.arrays)
        #expect(try PlainBackend().tensors(contentsOf: folder["t"]).values == tensors.arrays)
    }

    @Test func `the same tensors give the same bytes, and another order of metadata does too`() throws {
        let keys = (0..<50).map { "key\($0)" }
        var bytes: [[UInt8]] = []
        for keys in [keys, keys.reversed()] {
            var metadata: [String: String] = [:]
            for key in keys { metadata[key] = key }
            var writer = SafetensorsWriter(metadata: metadata)
            try writer.add(try tensors())
            bytes.append(try writer.bytes())
        }
        #expect(bytes[0] == bytes[1])
        let headerLength = bytes[0][..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(headerLength % 8 == 0)
    }

    @Test func `larger elements come first, so that each tensor is aligned`() throws {
        var writer = SafetensorsWriter()
        try writer.add(try tensors(.bfloat16), prefix: "half/")
        try writer.add(try tensors(), prefix: "single/")
        let file = try SafetensorsFile(bytes: writer.bytes())
        #expect(file.entries.prefix(5).allSatisfy { $0.name.hasPrefix("single/") })
        #expect(file.entries.allSatisfy { $0.range.lowerBound % $0.type.byteCount == 0 })
    }

    @Test func `16-bit floats are widened exactly, and a file of several types is loaded as float32`() throws {
        let (half, brain) = (try tensors(.float16), try tensors(.bfloat16, seed: 4))
        var writer = SafetensorsWriter()
        try writer.add(half, prefix: "half/")
        try writer.add(brain, prefix: "brain/")
        try writer.write(to: folder["t"])
        let loaded = try TensorSet(contentsOf: folder["t"])
        #expect(loaded.elementType == .float32)
        #expect(loaded.bits == half.bits + brain.bits)
        var one = try tensors()
        try one.load(from: SafetensorsFile(contentsOf: folder["t"]), prefix: "brain/")
        #expect(one.bits == brain.bits)
    }

    @Test func `a copy made before loading is not changed`() throws {
        try tensors().save(to: folder["t"])
        var tensors = try tensors(seed: 9)
        let copy = tensors
        let bits = copy.bits
        try tensors.load(contentsOf: folder["t"])
        #expect(copy.bits == bits)
        #expect(tensors.bits != bits)
    }

    @Test func `a writer refuses names twice, the name of the metadata and impossible shapes`() throws {
        var writer = SafetensorsWriter()
        try writer.add("w", .uint8, shape: [0]) { _ in }
        let twice = try error { try writer.add("w", .uint8, shape: [0]) { _ in } }
        #expect(twice.code == .duplicateParameter && twice.parameter == "w")
        #expect(throws: DescentError.self) { try writer.add("__metadata__", .uint8, shape: []) { _ in } }
        #expect(throws: DescentError.self) { try writer.add("v", .uint8, shape: [-1]) { _ in } }
        #expect(throws: DescentError.self) { try writer.add("v", .uint8, shape: [.max, 2]) { _ in } }
        #expect(throws: DescentError.self) {
            try writer.add("v", .uint8, shape: .init(repeating: 1, count: 65)) { _ in }
        }
    }

    // MARK: What does not fit

    @Test(arguments: [
        (["a": [2], "b": [3]], DescentError.Code.missingParameter, "c"),
        (["a": [2], "b": [3], "c": [], "d": [1]], .unexpectedParameter, "d"),
        (["a": [2], "b": [3, 1], "c": []], .shapeMismatch, "b"),
    ])
    func `what does not fit the layout is refused by name, and nothing changes`(
        _ shapes: [String: [Int]], _ code: DescentError.Code, _ name: String
    ) throws {
        let parameters = try shapes.sorted { $0.key < $1.key }.map { try ParameterDescription($0.key, shape: $0.value) }
        try TensorSet.random(ParameterLayout(parameters), seed: 1).save(to: folder["t"])
        let expected = try ParameterLayout([
            ParameterDescription("c", shape: []), ParameterDescription("a", shape: [2]),
            ParameterDescription("b", shape: [3]),
        ])
        var tensors = TensorSet.random(expected, seed: 2)
        let bits = tensors.bits
        let error = try error { try tensors.load(contentsOf: folder["t"]) }
        #expect(error.code == code)
        #expect(error.parameter == name)
        #expect(error.message.contains(folder["t"]))
        #expect(tensors.bits == bits)
        if code == .unexpectedParameter {
            try tensors.load(from: SafetensorsFile(contentsOf: folder["t"]), ignoringOthers: true)
            #expect(tensors.bits != bits)
        }
    }

    @Test func `elements that would be rounded are refused`() throws {
        try tensors().save(to: folder["t"])
        var half = try tensors(.float16)
        let narrowing = try error { try half.load(contentsOf: folder["t"]) }
        #expect(narrowing.code == .elementTypeMismatch && narrowing.parameter == "z.weight")
        let double = #"{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#
        let path = try folder.write(file(double, dataByteCount: 8), to: "double")
        let doubles = try error { _ = try TensorSet(contentsOf: path) }
        #expect(doubles.code == .elementTypeMismatch && doubles.message.contains("F64"))
    }
}

/// A safetensors file with a header as given and zeros for data.
func file(_ header: String, dataByteCount: Int = 0) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8)
        + [UInt8](repeating: 0, count: dataByteCount)
}
