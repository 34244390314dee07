import Descent

// Optimizers that are wrong, each in one way that a rule of the kit forbids.

/// Needs a learning rate for every tensor of rank 2, and refuses others.
struct RefusesVectors: Optimizer {
    let learningRate: Schedule = 0.1
    func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(layout.allSatisfy { $0.rank == 2 }, name, "matrices alone.")
    }
    func update(_ block: inout some UpdateBlock) {}
}

/// Counts steps in an object.
struct SharesCount: Optimizer {
    let learningRate: Schedule = 0.1
    let count = SharedNumber()
    var factor: Float = 1
    mutating func prepare(appliedSteps: Int) { factor = 1 / Float(count.next()) }
    func update(_ block: inout some UpdateBlock) {
        block.updateEach { gradient, parameter in parameter -= factor * gradient }
    }
}

/// Numbers blocks as they come.
struct NumbersBlocks: Optimizer {
    let learningRate: Schedule = 0.1
    let count = SharedNumber()
    func prepare(appliedSteps: Int) { count.set(0) }
    func update(_ block: inout some UpdateBlock) {
        let rate = 0.1 / Float(count.next())
        block.updateEach { gradient, parameter in parameter -= rate * gradient }
    }
}

/// Takes a block for the tensor.
struct NormalizesBlocks: Optimizer {
    let learningRate: Schedule = 0.1
    func update(_ block: inout some UpdateBlock) {
        let rate = 0.1 / Float(1 + block.norm(.l2))
        block.updateEach { gradient, parameter in parameter -= rate * gradient }
    }
}

/// Moves tensors by their place in the layout.
struct PrefersTheFirst: Optimizer {
    let learningRate: Schedule = 0.1
    func update(_ block: inout some UpdateBlock) {
        let rate = 0.1 / Float(1 + block.parameterIndex)
        block.updateEach { gradient, parameter in parameter -= rate * gradient }
    }
}

/// Divides by the number of columns less one.
struct DividesRates: Optimizer {
    let learningRate: Schedule = 0.1
    func update(_ block: inout some UpdateBlock) {
        let rate = 0.1 / Float(block.columnCount - 1)
        block.updateEach { gradient, parameter in parameter -= rate * gradient }
    }
}

/// Divides by a root that may be 0.
struct DividesByRoot: Optimizer {
    let learningRate: Schedule = 0.1
    var slots: [Slot] { ["squares"] }
    func update(_ block: inout some UpdateBlock) {
        block.updateEach { gradient, parameter, squares in
            squares += gradient * gradient
            parameter -= 0.1 * gradient / squares.squareRoot()
        }
    }
}

/// Counts steps for itself.
struct CountsForItself: Optimizer {
    let learningRate: Schedule = 0.1
    private var count = 0
    mutating func prepare(appliedSteps: Int) { count += 1 }
    func update(_ block: inout some UpdateBlock) {
        let rate = 0.1 / Float(count)
        block.updateEach { gradient, parameter in parameter -= rate * gradient }
    }
}

/// Makes an array in every step.
struct MakesArraysOfRates: Optimizer {
    let learningRate: Schedule = 0.1
    private var rates: [Float] = []
    mutating func prepare(appliedSteps: Int) { rates = (0..<300).map { 0.1 / Float($0 + appliedSteps + 1) } }
    func update(_ block: inout some UpdateBlock) {
        let rate = rates[0]
        block.updateEach { gradient, parameter in parameter -= rate * gradient }
    }
}

/// Moves twice as far by itself as along its direction.
struct GoesAnotherWay: DirectionalOptimizer {
    let learningRate: Schedule = 0.1
    func makeDirection(_ block: inout some UpdateBlock) {}
    func update(_ block: inout some UpdateBlock) {
        block.updateEach { gradient, parameter in parameter -= 0.2 * gradient }
    }
}
