import DescentCore
import SeededNumbers

/// One input to try a rule on: tensors, how many steps, and what gradients hold.
struct Case: Sendable, Equatable {
    /// A parameter's name and shape.
    struct Tensor: Sendable, Equatable {
        let name: String
        var shape: [Int]
        var outputAxis = OutputAxis.first
    }

    var tensors: [Tensor]
    var steps = 4
    var numbers = Numbers.normal

    /// A case of some shapes, with at least as many tensors as there are names.
    ///
    /// - Parameters:
    ///   - shapes: The shapes; more tensors than these are small vectors.
    ///   - names: The names, used over with a number behind them where there are more tensors.
    ///   - steps: The number of steps.
    ///   - numbers: What gradients hold.
    init(_ shapes: [[Int]], names: [String], steps: Int = 4, numbers: Numbers = .normal) {
        self.steps = steps
        self.numbers = numbers
        tensors = (0..<max(shapes.count, names.count)).map { index in
            let round = index / max(1, names.count)
            let name = names.isEmpty ? "tensor" : names[index % names.count]
            return Tensor(
                name: round == 0 && !names.isEmpty ? name : "\(name)\(round + 1)",
                shape: index < shapes.count ? shapes[index] : [3])
        }
    }

    /// The layout of the tensors.
    var layout: ParameterLayout {
        get throws {
            try ParameterLayout(
                tensors.map { try ParameterDescription($0.name, shape: $0.shape, outputAxis: $0.outputAxis) })
        }
    }

    /// The gradients of a micro-batch, row by row.
    func gradients(step: Int, of layout: ParameterLayout) -> [[Float]] {
        values(of: layout, numbers, step << 16)
    }

    /// The parameters before the first step, row by row.
    func parameters(of layout: ParameterLayout, variant: Int = 0) -> [[Float]] {
        values(of: layout, numbers == .zero ? .zero : .normal, -1 - variant)
    }

    /// Numbers that depend on the tensor's name and a number alone, not on its place in the layout.
    private func values(of layout: ParameterLayout, _ numbers: Numbers, _ number: Int) -> [[Float]] {
        layout.map { parameter in
            var generator = SeededGenerator(parameter.name, number)
            return (0..<parameter.count).map { _ in numbers.draw(&generator) }
        }
    }
}

extension Case: CustomStringConvertible {
    /// The case for people: shapes, and the numbers themselves where they are few.
    var description: String {
        let count = "\(steps) step\(steps == 1 ? "" : "s")"
        guard let layout = try? layout else { return count }
        let first = gradients(step: 0, of: layout)
        let isShort = layout.elementCount <= 12
        let list = layout.indices.filter { layout[$0].count > 0 }.map { index in
            "\"\(layout[index].name)\" \(layout[index].shape)"
                + (layout[index].outputAxis == .last ? ", output last" : "")
                + (isShort ? " = \(first[index])" : "")
        }
        let empty = layout.count - list.count
        let rest = empty == 0 ? [] : ["\(empty) empty tensor\(empty == 1 ? "" : "s")"]
        return "\(count) with gradients " + (isShort ? "(of the first step) " : "of \(numbers.rawValue), ")
            + (list + rest).joined(separator: ", ")
    }
}
