import Descent
import Synchronization
import TestSupport

// Transforms that are wrong, each in one way that a rule of the kit forbids.

/// A number in an object, which copies share.
final class SharedNumber: Sendable {
    private let mutex = Mutex(0)

    func set(_ value: Int) { mutex.withLock { $0 = value } }

    /// Adds 1 and gives the number.
    func next() -> Int {
        mutex.withLock { number in
            number += 1
            return number
        }
    }
}

/// Refuses scalars.
struct RefusesScalars: GradientTransform {
    mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try DescentError.require(layout.allSatisfy { $0.rank > 0 }, name, "no scalars, please.")
    }
    func transform(_ block: inout some GradientBlock) {}
}

/// Declares a norm that it never reads.
struct DeclaresTooMuch: GradientScaling {
    var requirements: [Requirement] { [.norm(.l2), .norm(.lInfinity)] }
    mutating func prepare(_ step: inout StepPreparation) {
        step.scale(by: 1 / Float(1 + step.incoming.norm(.l2)))
    }
}

/// Decays the parameters, which is an optimizer's business.
struct ChangesParameters: GradientTransform {
    func transform(_ block: inout some GradientBlock) {
        block.withUnsafeElements { memory in
            for index in memory.parameters.indices { memory.parameters[index] *= 0.99 }
        }
    }
}

/// Counts steps in an object.
struct SharesState: GradientScaling {
    let count = SharedNumber()
    mutating func prepare(_ step: inout StepPreparation) { step.scale(by: 1 / Float(count.next())) }
}

/// Draws random numbers that come from nowhere.
struct DrawsAtRandom: GradientTransform {
    func transform(_ block: inout some GradientBlock) {
        block.transformEach { $0 += Float.random(in: -1...1) }
    }
}

/// Numbers blocks as they come.
struct CountsBlocks: GradientTransform {
    let count = SharedNumber()
    mutating func prepare(_ step: inout StepPreparation) { count.set(0) }
    func transform(_ block: inout some GradientBlock) { block.scale(by: 1 / Float(count.next())) }
}

/// Takes a block for the tensor.
struct SubtractsBlockMean: GradientTransform {
    func transform(_ block: inout some GradientBlock) {
        block.withElements { elements in
            var sum: Float = 0
            for index in elements.indices { sum += elements[index] }
            for index in elements.indices { elements[index] -= sum / Float(elements.count) }
        }
    }
}

/// Halves tensors by their place in the layout.
struct HalvesEverySecond: GradientTransform {
    func transform(_ block: inout some GradientBlock) {
        if !block.parameterIndex.isMultiple(of: 2) { block.scale(by: 0.5) }
    }
}

/// Does something else in the second sweep than in the first.
struct CountsSweeps: GradientTransform {
    let count = SharedNumber()
    mutating func prepare(_ step: inout StepPreparation) { count.set(0) }
    func transform(_ block: inout some GradientBlock) {
        if block.parameterIndex == 0, block.firstRow == 0, count.next() == 2 { block.scale(by: 0.5) }
    }
}

/// Divides by the number of columns less one, as a sample's deviation does.
struct DividesByColumns: GradientTransform {
    func transform(_ block: inout some GradientBlock) {
        let divisor = Float(block.columnCount - 1)
        block.transformEach { $0 /= divisor }
    }
}

/// Divides by a norm that may be 0.
struct DividesByNorm: GradientScaling {
    var requirements: [Requirement] { [.norm(.l2)] }
    mutating func prepare(_ step: inout StepPreparation) {
        step.scale(by: 1 / Float(step.incoming.norm(.l2)))
    }
}

/// Clamps with comparisons that NaN fails.
struct HidesNaN: GradientTransform {
    func transform(_ block: inout some GradientBlock) {
        block.transformEach { $0 = $0 > 1 ? 1 : $0 > -1 ? $0 : -1 }
    }
}

/// Says that it repairs gradients, and forgets infinities.
struct RepairsNaNAlone: GradientTransform {
    var repairsNonFinite: Bool { true }
    func transform(_ block: inout some GradientBlock) {
        block.transformEach { if $0.isNaN { $0 = 0 } }
    }
}

/// A scaling stage with a `transform` that is never called.
struct ScalesAndSquashes: GradientScaling {
    mutating func prepare(_ step: inout StepPreparation) { step.scale(by: 0.5) }
    func transform(_ block: inout some GradientBlock) { block.transformEach { $0 /= 1 + $0.magnitude } }
}

/// Sets a factor that is never carried out.
struct SquashesAndScales: GradientTransform {
    func prepare(_ step: inout StepPreparation) { step.scale(by: 0.5) }
    func transform(_ block: inout some GradientBlock) { block.transformEach { $0 /= 1 + $0.magnitude } }
}

/// Says that it is linear, and is not.
struct ClampsLinearly: GradientTransform {
    var effect: StageEffect { .linear }
    func transform(_ block: inout some GradientBlock) { block.clamp(to: -0.5...0.5) }
}

/// Says that it is linear, and loses NaN.
struct SelectsLinearly: GradientTransform {
    var effect: StageEffect { .linear }
    func transform(_ block: inout some GradientBlock) {
        let first = block.firstRow
        let columns = block.columnCount
        block.withElements { elements in
            for index in elements.indices where (first * columns + index).isMultiple(of: columns) {
                elements[index] = 0
            }
        }
    }
}

/// Counts steps before it is known whether they are applied.
struct CountsInPrepare: GradientScaling {
    var state = 0
    mutating func prepare(_ step: inout StepPreparation) {
        state += 1
        step.scale(by: 1 / Float(state))
    }
}

/// Learns from a norm before it is known whether the step is applied.
struct LearnsInPrepare: GradientScaling {
    var state = 0.0
    var requirements: [Requirement] { [.norm(.l2)] }
    mutating func prepare(_ step: inout StepPreparation) {
        state = 0.5 * state + 0.5 * step.incoming.norm(.l2)
        step.scale(by: Float(1 / (1 + state)))
    }
}

/// Remembers something outside its state.
struct ForgetsToSave: GradientScaling {
    private var count = 0
    mutating func prepare(_ step: inout StepPreparation) { step.scale(by: 1 / Float(1 + count)) }
    mutating func finish(_ result: StepResult) { if result.isApplied { count += 1 } }
}

/// Does what it is for on one backend alone.
struct KnowsOneBackend: GradientTransform {
    func transform(_ block: inout some GradientBlock) {
        if block is SIMDBlock { block.scale(by: 0.5) }
    }
}

/// Makes an array in every step.
struct MakesArrays: GradientScaling {
    var requirements: [Requirement] { [.norm(.l2)] }
    mutating func prepare(_ step: inout StepPreparation) {
        let norms = step.layout.indices.map { step.incoming.norm(.l2, of: $0) }
        step.scale(by: 1 / Float(1 + norms.reduce(0, max)))
    }
}

/// Halves what it measures.
struct HalvesWhatItMeasures: GradientScaling {
    static let sum = TensorMeasurement("sum of magnitudes")
    var requirements: [Requirement] { [.measured(Self.sum)] }
    func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
        let norm = block.norm(.l1)
        block.scale(by: Float(0.5))
        return norm
    }
    mutating func prepare(_ step: inout StepPreparation) { step.scale(by: 1 / (1 + step.incoming.value(Self.sum))) }
}

/// Adds the norms of blocks up, as if each were a tensor.
struct TakesABlockForATensor: GradientScaling {
    static let norm = TensorMeasurement("norm", .sum)
    var requirements: [Requirement] { [.measured(Self.norm)] }
    func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double { block.norm(.l2) }
    mutating func prepare(_ step: inout StepPreparation) {
        for parameter in step.layout.indices where step.incoming.value(Self.norm, of: parameter) > 1 {
            step.scale(parameter, by: 0.5)
        }
    }
}
