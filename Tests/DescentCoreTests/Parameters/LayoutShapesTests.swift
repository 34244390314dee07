import Descent
import TestSupport
import Testing

/// Layouts made of names and shapes, as hosts have them.
@Suite struct LayoutShapesTests {
    // MARK: Order

    @Test func `a list keeps its order`() throws {
        let pairs: [(String, [Int])] = [("z.10", [3, 2]), ("a", []), ("z.9", [0])]
        let layout = try ParameterLayout(shapes: pairs)
        #expect(layout.map(\.name) == ["z.10", "a", "z.9"])
        #expect(layout.map(\.shape) == [[3, 2], [], [0]])
        #expect(layout.allSatisfy { $0.outputAxis == .first })
        let labelled = try ParameterLayout(shapes: [(name: "b", shape: [1]), (name: "a", shape: [2])].map { ($0, $1) })
        #expect(labelled.map(\.name) == ["b", "a"])
        #expect(try ParameterLayout(shapes: [(String, [Int])]()).isEmpty)
    }

    @Test func `a dictionary is sorted part by part, and numbers by their size`() throws {
        let names = [
            "a", "a.b", "a.b.c", "a-b", "a2.x", "a10.x", "layers.0", "layers.00", "layers.1.w", "layers.01.x",
            "layers.9.w", "layers.10.w", "layers.99999999999999999999", "layers.100000000000000000000", "layers.x", "é",
        ]
        for seed in UInt64(0)..<8 {
            var generator = SeededGenerator(seed: seed)
            // The order of a dictionary depends on how it came to be, and on the run.
            var shapes: [String: [Int]] = [:]
            for name in names.shuffled(using: &generator) { shapes[name] = [name.utf8.count] }
            let layout = try ParameterLayout(shapes: shapes)
            #expect(layout.map(\.name) == names)
            #expect(layout.allSatisfy { $0.shape == [$0.name.utf8.count] })
        }
    }

    /// A name in parts, which are made of bytes and numbers.
    private struct Key {
        let name: String
        let parts: [[Int]]

        /// Numbers count from 48 on, the byte of 0, and other bytes above 57 are moved out of their way.
        init(_ name: String) {
            self.name = name
            parts = name.split(separator: ".", omittingEmptySubsequences: false).map { part in
                part.matches(of: /[0-9]+|[^0-9]/).map { token in
                    if let number = Int(token.output) { return 48 + number }
                    let byte = Int(token.output.utf8.first ?? 0)
                    return byte > 57 ? byte + 1_000_000 : byte
                }
            }
        }

        func precedes(_ other: Key) -> Bool {
            for (own, others) in zip(parts, other.parts) where own != others {
                return own.lexicographicallyPrecedes(others)
            }
            if parts.count != other.parts.count { return parts.count < other.parts.count }
            return name < other.name
        }
    }

    @Test func `the order of all short names is the one that is promised`() throws {
        var names = [""]
        var all: [String] = []
        for _ in 0..<4 {
            names = names.flatMap { name in "a-.019".map { name + String($0) } }
            all += names
        }
        #expect(all.count == 1554)
        let shapes = Dictionary(uniqueKeysWithValues: all.map { ($0, [1]) })
        let expected = all.map(Key.init).sorted { $0.precedes($1) }.map(\.name)
        #expect(try ParameterLayout(shapes: shapes).map(\.name) == expected)
    }

    // MARK: Nested shapes

    @Test func `nested shapes are named by the way to them, and sorted like a dictionary of these names`() throws {
        let layer: NestedShapes = ["mlp": ["weight": [4, 3], "bias": [4]], "norm": ["weight": [3]]]
        let nested: NestedShapes = [
            "layers": .list(Array(repeating: layer, count: 12)), "scale": [], "empty": [:], "none": .list([]),
        ]
        var shapes: [String: [Int]] = ["scale": []]
        for index in 0..<12 {
            shapes["layers.\(index).mlp.weight"] = [4, 3]
            shapes["layers.\(index).mlp.bias"] = [4]
            shapes["layers.\(index).norm.weight"] = [3]
        }
        let layout = try ParameterLayout(shapes: nested)
        #expect(layout.count == 37)
        #expect(try layout == ParameterLayout(shapes: shapes))
        #expect(try layout.map(\.name) == nested.flattened().map(\.name))
        #expect(layout[0].name == "layers.0.mlp.bias" && layout[30].name == "layers.10.mlp.bias")
        #expect(layout[36].name == "scale" && layout[36].rank == 0)
        #expect(try ParameterLayout(shapes: [:] as NestedShapes).isEmpty)
    }

    @Test func `keys with dots in them, and positions, are parts like any other`() throws {
        let nested: NestedShapes = ["a": ["z": [1], "b": [2]], "a.c": [3], "b": .list([[4], .list([[5]])])]
        #expect(try nested.flattened().map(\.name) == ["a.b", "a.c", "a.z", "b.0", "b.1.0"])
        #expect(try nested.flattened().map(\.shape) == [[2], [3], [1], [4], [5]])
        #expect(try NestedShapes.list([[1], [2]]).flattened().map(\.name) == ["0", "1"])
    }

    // MARK: What is refused

    @Test func `two parameters of one name, and names and shapes that are none, are refused`() {
        let twice = thrownError { _ = try ParameterLayout(shapes: [("a", [1]), ("b", [1]), ("a", [2])]) }
        #expect(twice?.code == .duplicateParameter && twice?.parameter == "a")
        let joined = thrownError { _ = try ParameterLayout(shapes: ["a": ["b": [1]], "a.b": [2]] as NestedShapes) }
        #expect(joined?.code == .duplicateParameter && joined?.parameter == "a.b")
        #expect(thrownError { _ = try ParameterLayout(shapes: [("", [1])]) }?.code == .invalidName)
        #expect(thrownError { _ = try ParameterLayout(shapes: ["": [1]]) }?.code == .invalidName)
        #expect(thrownError { _ = try ParameterLayout(shapes: NestedShapes.shape([1])) }?.code == .invalidName)
        let shape = thrownError { _ = try ParameterLayout(shapes: ["a": [1], "b": [2, -1]]) }
        #expect(shape?.code == .invalidShape && shape?.parameter == "b")
        let large = thrownError { _ = try ParameterLayout(shapes: ["a": ["b": [.max, 2]]] as NestedShapes) }
        #expect(large?.code == .invalidShape && large?.parameter == "a.b")
    }

    @Test func `an empty key is named by the way to it, the first one in every run`() {
        for _ in 0..<8 {
            let nested: NestedShapes = ["b": ["": ["weight": [2]]], "a": ["": [3]], "": [4], "c": [5], "d": ["": [:]]]
            let error = thrownError { _ = try ParameterLayout(shapes: nested) }
            #expect(error?.code == .invalidName && error?.parameter == "")
            let deeper = thrownError { _ = try ParameterLayout(shapes: ["b": ["": ["weight": [2]]], "c": [5]]) }
            #expect(deeper?.code == .invalidName && deeper?.parameter == "b..weight")
            let message = "A key on the way to the parameter \"b..weight\" of shape [2] is empty; give it a name."
            #expect(deeper?.message == message)
        }
    }

    // MARK: The output axis

    private let shapes: NestedShapes = ["fc": ["weight": [8, 6], "bias": [8], "lora_a": [6, 2], "lora_b": [2, 8]]]

    private func last(_ selection: ParameterSelection?) throws -> [String] {
        try ParameterLayout(shapes: shapes, outputsLast: selection).filter { $0.outputAxis == .last }.map(\.name)
    }

    @Test func `the output axis is told by names, ranks and conditions`() throws {
        #expect(try last(nil) == [])
        #expect(try last(.named(suffix: "lora_b")) == ["fc.lora_b"])
        #expect(try last(.ending(in: ["lora_a", "lora_b"])) == ["fc.lora_a", "fc.lora_b"])
        #expect(try last(.named(prefix: "fc.lora")) == ["fc.lora_a", "fc.lora_b"])
        #expect(try last(.satisfying { $0.shape.first == 6 }) == ["fc.lora_a"])
        #expect(try last(.satisfying { $0.name.hasSuffix("kernel") }) == [])
        #expect(try last(.rank(4...4)) == [])
        // Below rank 2 there is one axis at most, which is the first.
        #expect(try last(.all) == ["fc.lora_a", "fc.lora_b", "fc.weight"])
        #expect(try last(.named(suffix: "bias")) == [])
        let matrix = try ParameterLayout(shapes: shapes, outputsLast: .named(suffix: "lora_b"))[1]
        #expect(try matrix == ParameterDescription("fc.lora_a", shape: [6, 2]))
        let pairs = try ParameterLayout(shapes: [("a", [2, 3]), ("b", [2, 3])], outputsLast: .named(prefix: "b"))
        #expect(pairs.map(\.rowCount) == [2, 3])
        #expect(try ParameterLayout(shapes: ["a": [2, 3]], outputsLast: .all)[0].rowCount == 3)
        #expect(try ParameterLayout(shapes: [:] as NestedShapes, outputsLast: .named(suffix: "b")).isEmpty)
    }

    @Test func `an end of names that no name has is refused, each of several`() {
        for selection in [ParameterSelection.named(suffix: "lora_B"), .ending(in: ["lora_b", "lora_B"])] {
            let error = thrownError { _ = try last(selection) }
            #expect(error?.code == .invalidSetting)
            #expect(error?.message.contains("outputsLast: no parameter") == true, "\(String(describing: error))")
            #expect(error?.message.contains("fc.bias, fc.lora_a, fc.lora_b, fc.weight") == true)
        }
        let second = thrownError { _ = try last(.ending(in: ["lora_b", "lora_B"])) }
        #expect(second?.message.contains("ends in \"lora_B\"") == true)
    }

    // MARK: Ends of names elsewhere

    @Test func `stages, groups and optimizers choose parameters by the ends of names`() throws {
        let layout = try ParameterLayout(shapes: shapes)
        var parameters = TensorSet(zeros: layout)
        let gradients = TensorSet.random(layout, seed: 4)
        var pipeline = try Pipeline(for: parameters) {
            Freeze(.named(suffix: "bias"))
            Scale(by: 4).only(.named(suffix: "weight"))
        } driving: {
            SGD(learningRate: 1).only(.named(suffix: "lora_b"))
            SGD(learningRate: 2)
        }
        #expect(try pipeline.step(&parameters, gradients: gradients).isApplied)
        #expect(parameters["fc.bias"].allSatisfy { $0 == 0 })
        #expect(parameters["fc.weight"] == gradients["fc.weight"].map { -8 * $0 })
        #expect(parameters["fc.lora_b"] == gradients["fc.lora_b"].map { -$0 })
        #expect(parameters["fc.lora_a"] == gradients["fc.lora_a"].map { -2 * $0 })
        let error = thrownError {
            _ = try Chain(for: layout) { ClipAdaptively(excluding: .named(suffix: "head")) }
        }
        #expect(error?.message.contains("no parameter is chosen") == true)
    }
}
