import Descent

// Stages and optimizers that use what a pipeline offers them: shaped slots, measurements of their own, whole tensors, scratch.

/// Divides by the root of the second moment, factored in rows and columns, of whole tensors.
///
///     r = r / 2 + mean(g²) of each row / 2;  c likewise of each column;  t = max(t, the largest |g|);
///     u = g / (√(r · c) / (t + 1) + 0.1)
struct Factored: DirectionalOptimizer {
    var learningRate: Schedule = 0.1
    var isInTurn = false

    var name: String { "Factored" }
    var slots: [Slot] {
        [Slot("rows", shape: .row), Slot("columns", shape: .column), Slot("largest", shape: .tensor)]
    }
    var reach: StageReach { .tensors(inTurn: isInTurn) }
    func scratchCount(for parameter: ParameterDescription) -> Int { parameter.count }

    func makeDirection(_ block: inout some UpdateBlock) {
        let (rows, columns) = (block.rowCount, block.columnCount)
        block.withUnsafeElements { memory in
            let (gradient, squares) = (memory.gradient, memory.scratch)
            for index in gradient.indices { squares[index] = gradient[index] * gradient[index] }
            for row in 0..<rows {
                var sum: Float = 0
                for column in 0..<columns { sum += squares[row * columns + column] }
                memory.slots[0][row] = memory.slots[0][row] / 2 + sum / Float(columns) / 2
            }
            for column in 0..<columns {
                var sum: Float = 0
                for row in 0..<rows { sum += squares[row * columns + column] }
                memory.slots[1][column] = memory.slots[1][column] / 2 + sum / Float(rows) / 2
            }
            for element in gradient { memory.slots[2][0] = max(memory.slots[2][0], element.magnitude) }
            for index in gradient.indices {
                let product = memory.slots[0][index / columns] * memory.slots[1][index % columns]
                gradient[index] /= product.squareRoot() / (memory.slots[2][0] + 1) + 0.1
            }
        }
    }
}

/// Brings each row to the running mean of its largest magnitude: a slot that keeps a number a row, written block by block.
struct EvenRows: GradientTransform {
    var slots: [Slot] { [Slot("largest", shape: .row)] }

    func transform(_ block: inout some GradientBlock) {
        let (rows, columns) = (block.rowCount, block.columnCount)
        block.withUnsafeElements { memory in
            for row in 0..<rows {
                var largest: Float = 0
                for column in 0..<columns { largest = max(largest, memory.gradient[row * columns + column].magnitude) }
                memory.slots[0][row] = memory.slots[0][row] / 2 + largest / 2
                for column in 0..<columns {
                    memory.gradient[row * columns + column] *= memory.slots[0][row] / (largest + 1)
                }
            }
        }
    }
}

/// Keeps a momentum and scales by the cosine of gradient and momentum, as measured; writes it down.
struct Aligned: GradientTransform {
    private static let product = TensorMeasurement("product with the momentum")
    private static let squares = TensorMeasurement("sum of squares", degree: 2)
    private static let positive = TensorMeasurement("number of positive elements", degree: 0)
    private static let cubes = TensorMeasurement("largest element above 1", .largest, degree: nil)

    private var factors: [Float] = []

    var slots: [Slot] { ["momentum"] }
    var requirements: [Requirement] {
        [
            .measured(Self.product), .measured(Self.squares), .measured(Self.positive), .measured(Self.cubes),
            .dotProduct(slot: 0),
        ]
    }

    mutating func configure(for layout: ParameterLayout) throws(DescentError) { factors = layout.map { _ in 1 } }

    func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
        if measurement == Self.product { return block.dotProduct(slot: 0) }
        return block.withElements { elements in
            var (sum, count, largest) = (0.0, 0, 0.0)
            for index in elements.indices {
                sum += Double(elements[index]) * Double(elements[index])
                if elements[index] > 0 { count += 1 }
                largest = max(largest, Double(elements[index].magnitude) - 1)
            }
            return measurement == Self.squares ? sum : measurement == Self.positive ? Double(count) : largest
        }
    }

    mutating func prepare(_ step: inout StepPreparation) {
        for parameter in step.layout.indices where step.concerns(parameter) {
            let product = step.incoming.value(Self.product, of: parameter)
            let squares = step.incoming.value(Self.squares, of: parameter)
            step.record("product", product, of: parameter)
            step.record("dot product", step.incoming.dotProduct(slot: 0, of: parameter), of: parameter)
            step.record("squares", squares, of: parameter)
            step.record("positive", step.incoming.value(Self.positive, of: parameter), of: parameter)
            step.record("above 1", step.incoming.value(Self.cubes, of: parameter), of: parameter)
            factors[parameter] = Float(1 + product / (squares + 1) / 8)
        }
        step.record("squares", step.incoming.value(Self.squares))
    }

    func transform(_ block: inout some GradientBlock) {
        let factor = factors[block.parameterIndex]
        block.withElementsAndSlot { elements, momentum in
            for index in elements.indices {
                momentum[index] = momentum[index] / 2 + elements[index] / 2
                elements[index] *= factor
            }
        }
    }
}

/// Keeps the way that parameters have gone, and how often it has been told to follow.
struct Odometer: ParameterFollower {
    struct State: Codable, Sendable { var steps = 0 }

    var state = State()
    var slots: [Slot] { ["before", "way"] }

    mutating func prepare(appliedSteps: Int) { state.steps = appliedSteps + 1 }

    func willMove(_ block: inout some UpdateBlock) {
        block.withUnsafeElements { memory in
            for index in memory.parameters.indices { memory.slots[0][index] = memory.parameters[index] }
        }
    }

    func didMove(_ block: inout some UpdateBlock) {
        block.withUnsafeElements { memory in
            for index in memory.parameters.indices {
                memory.slots[1][index] += (memory.parameters[index] - memory.slots[0][index]).magnitude
            }
        }
    }
}

/// Vetoes, or throws, in the steps that a closure picks; counts what it is told.
struct Disturbance: GradientTransform {
    enum Kind: Sendable { case none, veto, throwing }

    let kind: @Sendable (_ prepared: Int) -> Kind
    /// Whether it is prepared only when all in front of it has been measured.
    var measures = true
    var state = Prepared()

    struct Prepared: Codable, Sendable { var count = 0 }

    var requirements: [Requirement] { measures ? [.norm(.l2)] : [] }
    func transform(_ block: inout some GradientBlock) {}

    mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        switch kind(state.count) {
        case .none: break
        case .veto: step.veto("as was asked for")
        case .throwing: throw DescentError(.init("disturbance"), stage: name, "as was asked for")
        }
    }

    mutating func finish(_ result: StepResult) throws(DescentError) { state.count += 1 }
}
