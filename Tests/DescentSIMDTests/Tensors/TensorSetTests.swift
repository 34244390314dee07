import Descent
import TestSupport
import Testing

@Suite struct TensorSetTests {
    private let layout: ParameterLayout

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("fc.weight", shape: [2, 3]), ParameterDescription("fc.bias", shape: [2]),
            ParameterDescription("empty", shape: [0, 4]), ParameterDescription("scale", shape: []),
        ])
    }

    @Test(arguments: ElementType.allCases) func `sets are equal if names, shapes, types and bits are`(
        _ type: ElementType
    ) throws {
        var first = TensorSet(zeros: layout, type)
        var second = TensorSet(zeros: layout, type)
        #expect(first == first)
        #expect(first == second)
        first["fc.bias"] = [1, .nan]
        #expect(first != second)
        second["fc.bias"] = [1, .nan]
        #expect(first == second)
        first["scale"] = [-0.0]
        #expect(first != second)
        let copy = first
        first["scale"] = [2]
        #expect(copy != first)
    }

    @Test func `sets of other names, shapes, order, output units or types differ`() throws {
        let set = TensorSet(zeros: layout)
        func same(_ parameters: [ParameterDescription]) throws -> Bool { try TensorSet(parameters) == set }
        #expect(try same(Array(layout)))
        #expect(try !same(layout.reversed()))
        #expect(try !same(layout.dropLast()))
        #expect(try !same([ParameterDescription("fc.weight", shape: [3, 2])] + layout.dropFirst()))
        #expect(try !same([ParameterDescription("weight", shape: [2, 3])] + layout.dropFirst()))
        #expect(try !same([ParameterDescription("fc.weight", shape: [2, 3], outputAxis: .last)] + layout.dropFirst()))
        #expect(TensorSet(zeros: layout, .float16) != set)
        #expect(TensorSet(zeros: layout, .float16) != TensorSet(zeros: layout, .bfloat16))
    }

    @Test(arguments: ElementType.allCases) func `a set prints names, shapes and the first numbers`(
        _ type: ElementType
    ) {
        var set = TensorSet(zeros: layout, type)
        set["fc.weight"] = [1, -0.5, 2, 3, 4, 5]
        set["scale"] = [.infinity]
        #expect(
            "\(set)" == """
                4 tensors, 9 elements in \(type)
                fc.weight [2, 3]: 1.0, -0.5, 2.0, 3.0, …
                fc.bias [2]: 0.0, 0.0
                empty [0, 4]: no elements
                scale []: inf
                """)
    }

    @Test func `of many tensors the first are printed`() throws {
        let set = TensorSet(zeros: try makeLayout(Array(repeating: [1], count: 25)))
        let lines = "\(set)".split(separator: "\n")
        #expect(lines.count == 22)
        #expect(lines.first == "25 tensors, 25 elements in float32")
        #expect(lines.last == "… and 5 more")
    }
}
