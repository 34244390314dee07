import Descent
import TestSupport
import Testing

/// What `explain()` says about rows.
@Suite struct RowExplanationTests {
    /// Brings each row's first element to 0, and says that it depends on rows.
    private struct ClearFirst: GradientTransform {
        var isDeclared = true

        func dependsOnRows(of parameter: ParameterDescription) -> Bool { isDeclared }
        func transform(_ block: inout some GradientBlock) {
            let (rows, columns) = (block.rowCount, block.columnCount)
            block.withElements { elements in
                for row in 0..<rows where columns > 0 { elements[row * columns] = 0 }
            }
        }
    }

    /// A stage with a slot of one shape.
    private struct Keeper: GradientTransform {
        let shape: Slot.Shape
        var slots: [Slot] { [Slot("kept", shape: shape)] }
        func transform(_ block: inout some GradientBlock) {}
    }

    private let model: NestedShapes = [
        "conv": ["weight": [16, 3, 5, 5]], "head": ["weight": [10, 16], "bias": [10]], "scale": [], "none": [0, 4],
        "layers": .list(Array(repeating: ["q": [16, 16], "k": [16, 16], "bias": [16]], count: 3)),
    ]

    /// What a chain says of rows: the title and all below it.
    private func rows(
        _ shapes: NestedShapes, last: ParameterSelection? = nil, @ChainBuilder _ stages: () -> [any Stage]
    ) throws -> [String] {
        rows(try Chain(for: ParameterLayout(shapes: shapes, outputsLast: last), stages).explain())
    }

    private func rows(_ text: String) -> [String] {
        let lines = text.split(separator: "\n").drop { !$0.hasPrefix("Rows, ") }
        return lines.prefix { !$0.hasPrefix("Scratch") }.map(String.init)
    }

    @Test func `alike matrices share a line, in the order of the layout, and vectors are none`() throws {
        let found = try rows(model) { Centralize() }
        let expected = [
            "Rows, for Centralize", "  16 outputs of 3 x 5 x 5 inputs (first axis): conv.weight",
            "  10 outputs of 16 inputs (first axis): head.weight",
            "  16 outputs of 16 inputs (first axis): layers.0.k, layers.0.q, layers.1.k, layers.1.q, ... (6)",
        ]
        #expect(found == expected)
        let flax: NestedShapes = ["dense": ["kernel": [3, 1]], "conv": ["kernel": [5, 5, 3, 16]]]
        let last = try rows(flax, last: .all) { Centralize() }
        #expect(
            last == [
                "Rows, for Centralize", "  16 outputs of 5 x 5 x 3 inputs (last axis): conv.kernel",
                "  1 output of 3 inputs (last axis): dense.kernel",
            ])
        #expect(try rows(["a": [3, 1]]) { Centralize() }.last == "  3 outputs of 1 input (first axis): a")
    }

    @Test func `where no stage depends on rows, and where there is no matrix, nothing is said`() throws {
        let without = try rows(["dense": ["kernel": [3, 1]]]) {
            Unscale()
            Scale(by: 2).only(.rank(2...2))
            ClipByGlobalNorm(1)
            TopK(share: 0.5)
            ClearFirst(isDeclared: false)
            Keeper(shape: .parameter)
            Keeper(shape: .tensor)
        }
        #expect(without == [])
        #expect(try rows(["a": [4], "b": [], "kernel": [0, 3]]) { Centralize() } == [])
        let pipeline = try Pipeline(for: TensorSet(zeros: ParameterLayout(shapes: model)), driving: { AdamW() })
        #expect(!pipeline.explain().contains("Rows"))
    }

    @Test(arguments: [Slot.Shape.row, .column, .matrixRow, .matrixColumn])
    func `who keeps numbers of rows or columns depends on them, and so does who says so`(_ shape: Slot.Shape) throws {
        let line = "  3 outputs of 2 inputs (first axis): a"
        #expect(try rows(["a": [3, 2]]) { Keeper(shape: shape) } == ["Rows, for Keeper", line])
        #expect(try rows(["a": [3, 2]]) { ClearFirst() } == ["Rows, for ClearFirst", line])
        let parameters = TensorSet(zeros: try ParameterLayout(shapes: ["a": [3, 2]]))
        let pipeline = try Pipeline(for: parameters, driving: { Adafactor() })
        #expect(rows(pipeline.explain()) == ["Rows, for Adafactor", line])
    }

    @Test func `only parameters that a stage works on are listed, and stages of one name once`() throws {
        let shapes: NestedShapes = ["a": [3, 2], "b": [4, 2], "c": [5, 2], "d": [6, 2]]
        let found = try rows(shapes) {
            Freeze(prefix: "a")
            Centralize().only(.named(prefixes: ["a", "b"]))
            ClipAdaptively(excluding: .named(prefixes: ["b", "c"]))
            Centralize().only(prefix: "b")
        }
        #expect(
            found == [
                "Rows, for Centralize.only, ClipAdaptively(factor: 0.01)", "  4 outputs of 2 inputs (first axis): b",
                "  6 outputs of 2 inputs (first axis): d",
            ])
        let pipeline = try Pipeline(for: TensorSet(zeros: ParameterLayout(shapes: shapes))) {
            Freeze(prefix: "a")
        } driving: {
            AdamW().only(prefix: "b")
            SGD(learningRate: 1).only(prefix: "c").then { Centralize() }
            Adafactor()
        }
        #expect(
            rows(pipeline.explain()) == [
                "Rows, for Centralize, Adafactor", "  5 outputs of 2 inputs (first axis): c",
                "  6 outputs of 2 inputs (first axis): d",
            ])
    }

    @Test func `a model of many shapes gets a few lines`() throws {
        let shapes = (1...40).flatMap { [("a\($0)", [$0, 2]), ("b\($0)", [$0, 2])] }
        let found = rows(try Chain(for: ParameterLayout(shapes: shapes)) { Centralize() }.explain())
        #expect(found.count == 14)
        #expect(found[12] == "  12 outputs of 2 inputs (first axis): a12, b12")
        #expect(found[13] == "  56 more in 28 other shapes")
    }

    // MARK: Names that suggest the other axis

    private func warnings(_ shapes: NestedShapes, last: ParameterSelection? = nil) throws -> [String] {
        try rows(shapes, last: last) { Centralize() }.filter { $0.contains("Warning") }
    }

    @Test func `a kernel whose outputs are taken to be first is a warning, and one whose are last is none`() throws {
        let shapes: NestedShapes = [
            "dense": ["kernel": [64, 10], "bias": [10]], "rnn/recurrent_kernel": [7, 7], "fc": ["weight": [10, 64]],
            "kernel": ["weight": [3, 2]], "kernels": [4, 4],
        ]
        #expect(
            try warnings(shapes) == [
                "  Warning: outputs are taken to be the first axis where the names suggest the last, see outputsLast: "
                    + "dense.kernel, rnn/recurrent_kernel"
            ])
        #expect(try warnings(shapes, last: .named(suffix: "kernel")) == [])
        #expect(
            try warnings(shapes, last: .named(prefix: "rnn")) == [
                "  Warning: outputs are taken to be the first axis where the name suggests the last, see outputsLast: "
                    + "dense.kernel"
            ])
    }

    @Test func `a LoRA's matrices tell by their shapes which axis has the outputs`() throws {
        // As in mlx-swift-lm, where outputs are last, and as in PyTorch, where they are first.
        let mlx: NestedShapes = ["q": ["lora_a": [64, 4], "lora_b": [4, 32], "weight": [32, 64]]]
        let torch: NestedShapes = ["q": ["lora_A": ["weight": [4, 64]], "lora_B": ["default": ["weight": [32, 4]]]]]
        let camel: NestedShapes = ["loraA": [64, 4], "loraB": [4, 32]]
        let start = "  Warning: outputs are taken to be the "
        #expect(
            try warnings(mlx)
                == [start + "first axis where the names suggest the last, see outputsLast: q.lora_a, q.lora_b"])
        #expect(
            try warnings(mlx, last: .named(suffix: "lora_b"))
                == [start + "first axis where the name suggests the last, see outputsLast: q.lora_a"])
        #expect(try warnings(mlx, last: .ending(in: ["lora_a", "lora_b"])) == [])
        #expect(try warnings(torch) == [])
        #expect(
            try warnings(torch, last: .all) == [
                start + "last axis where the names suggest the first, see outputsLast: q.lora_A.weight, "
                    + "q.lora_B.default.weight"
            ])
        #expect(try warnings(camel).count == 1)
        #expect(try warnings(["lora_a": [4, 4], "lora_b": [4, 4]]) == [])
    }

    @Test func `both axes may be in doubt, and of many names some are shown`() throws {
        let layer: NestedShapes = ["lora_A": [4, 64], "dense": ["kernel": [3, 2]]]
        let found = try warnings(
            ["layers": .list(Array(repeating: layer, count: 5))], last: .named(suffix: "lora_A"))
        #expect(
            found == [
                "  Warning: outputs are taken to be the last axis where the names suggest the first, see outputsLast: "
                    + "layers.0.lora_A, layers.1.lora_A, layers.2.lora_A, layers.3.lora_A, ... (5)",
                "  Warning: outputs are taken to be the first axis where the names suggest the last, see outputsLast: "
                    + "layers.0.dense.kernel, layers.1.dense.kernel, layers.2.dense.kernel, layers.3.dense.kernel, ... (5)",
            ])
    }
}
