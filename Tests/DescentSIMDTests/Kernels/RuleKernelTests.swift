import Descent
import TestSupport
import Testing

@testable import DescentCore
@testable import DescentSIMD

/// The kernels of optimizers' rules at every level, against the formulas of the optimizers, bit for bit.
@Suite struct RuleKernelTests {
    private static let levels = InstructionSet.allCases.filter(\.isAvailable)

    /// Numbers of one operand that start at an odd place, with a margin that nobody may write to.
    private final class Operand {
        let storage: UnsafeMutableBufferPointer<Float>
        let values: UnsafeMutableBufferPointer<Float>

        init(_ count: Int, from generator: inout SeededGenerator, misaligned: Int, special: Bool, negative: Bool = true)
        {
            storage = .allocate(capacity: misaligned + count + 16)
            let specials: [Float] = [
                0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, -.leastNormalMagnitude, 1e-30, -1e30,
                .greatestFiniteMagnitude, Float(bitPattern: 0x0001_2345), 1, -1,
            ]
            for index in storage.indices {
                let exponent = Int.random(in: -8...8, using: &generator)
                var value = generator.normal() * Float(sign: .plus, exponent: exponent, significand: 1)
                if special, Int.random(in: 0..<5, using: &generator) == 0 {
                    value = specials[Int.random(in: specials.indices, using: &generator)]
                }
                storage.initializeElement(at: index, to: negative ? value : value.magnitude)
            }
            values = UnsafeMutableBufferPointer(rebasing: storage[misaligned..<misaligned + count])
        }

        init(copying other: Operand) {
            storage = .allocate(capacity: other.storage.count)
            _ = storage.initialize(fromContentsOf: other.storage)
            let first = other.storage.count - 16 - other.values.count
            values = UnsafeMutableBufferPointer(rebasing: storage[first..<first + other.values.count])
        }

        deinit { storage.deallocate() }

        var start: UnsafeMutablePointer<Float> {
            // A range of a buffer that is not empty has an address, even if it has no elements.
            guard let address = values.baseAddress else { preconditionFailure("no memory") }
            return address
        }
        var bits: [UInt32] { storage.map { $0.isNaN ? 0x7fc0_0000 : $0.bitPattern } }
    }

    /// Gradient, parameters, slots and a place for the direction.
    private struct Operands {
        let direction, parameters: Operand
        let slots: [Operand]

        init(_ count: Int, slots slotCount: Int, from generator: inout SeededGenerator, special: Bool) {
            direction = Operand(count, from: &generator, misaligned: 1, special: false)
            parameters = Operand(count, from: &generator, misaligned: 2, special: special)
            let negative = Bool.random(using: &generator)
            slots = (0..<slotCount).map {
                Operand(count, from: &generator, misaligned: $0, special: special, negative: negative)
            }
        }

        init(copying other: Operands) {
            direction = Operand(copying: other.direction)
            parameters = Operand(copying: other.parameters)
            slots = other.slots.map(Operand.init(copying:))
        }

        var bits: [[UInt32]] { ([direction, parameters] + slots).map(\.bits) }
    }

    /// A gradient of any type, as it is or with something pending.
    private struct Gradient {
        let type: ElementType
        let isSpecial: Bool
        private let rows, columns: Int
        private let factor: Float
        private let isCentered: Bool
        private let floats, means: Operand
        private let words: [UInt16]

        init(_ count: Int, from generator: inout SeededGenerator) {
            let type = ElementType.allCases[Int.random(in: 0..<3, using: &generator)]
            self.type = type
            isSpecial = Bool.random(using: &generator)
            (rows, factor, isCentered) =
                [(1, 1, false), (1, -0.37, false), (3, 1.5, true)][Int.random(in: 0..<3, using: &generator)]
            columns = count / rows
            floats = Operand(count, from: &generator, misaligned: 3, special: isSpecial)
            means = Operand(rows, from: &generator, misaligned: 0, special: false)
            words = floats.storage.map { type == .float16 ? Binary16($0).bitPattern : BFloat16($0).bitPattern }
        }

        var count: Int { rows * columns }

        func withPending(_ body: (PendingGradient) -> Void) {
            withExtendedLifetime((floats, means)) {
                words.withUnsafeBytes { words in
                    // Words at an odd place, as floats are.
                    let stored = words.baseAddress.map { $0 + 6 }
                    let source = type == .float32 ? UnsafeRawPointer(floats.start) : stored
                    guard let source else { return }
                    body(
                        PendingGradient(
                            source: source, type, rows: rows, columns: columns, factor: factor,
                            means: isCentered ? UnsafePointer(means.start) : nil))
                }
            }
        }
    }

    @Test func `there is an example of every kernel`() throws {
        let layout = try makeLayout([[2, 3]])
        let kernels = try RuleExample.all.map {
            try $0.prepared(for: layout).elementwiseRule(for: 0, UpdateRates())?.kernel
        }
        #expect(Set(kernels) == Set(ElementwiseRule.Kernel.allCases))
        for (example, kernel) in zip(RuleExample.all, kernels) {
            #expect(example.optimizer.slots.count == kernel?.slotCount)
            #expect(example.optimizer.hasDirection == kernel?.hasDirection)
        }
    }

    @Test(arguments: levels, RuleExample.all) func `a kernel gives the bits of the optimizer's formula`(
        _ level: InstructionSet, _ example: RuleExample
    ) throws {
        let (optimizer, kernels) = (try example.prepared(for: try makeLayout([[2, 3]])), Kernels(level))
        var generator = SeededGenerator(seed: 7)
        for count in Array(0...70) + [333] {
            let rates = UpdateRates(learningRate: 0.02, weightDecay: Bool.random(using: &generator) ? 0.1 : 0)
            let rule = try #require(optimizer.elementwiseRule(for: 0, rates))
            let gradient = Gradient(count, from: &generator)
            for (keeps, moves) in [(true, false), (false, false), (true, true)] where moves || optimizer.hasDirection {
                let found = Operands(
                    gradient.count, slots: rule.kernel.slotCount, from: &generator, special: gradient.isSpecial)
                let expected = Operands(copying: found)
                let slots = (0..<3).map { $0 < found.slots.count ? found.slots[$0].start : nil }
                gradient.withPending { gradient in
                    let isFinite = kernels.carryOut(
                        rule, gradient, found.parameters.start, slots: (slots[0], slots[1], slots[2]),
                        into: moves ? nil : found.direction.start, rate: rates.learningRate, keepsSlots: keeps)
                    Self.carryOut(optimizer, gradient, expected, rates, keeps: keeps, moves: moves)
                    if moves { #expect(isFinite == expected.parameters.values.allSatisfy(\.isFinite)) }
                }
                #expect(found.bits == expected.bits, "\(count), \(gradient.type), \(keeps), \(moves)")
            }
        }
    }

    /// Carries out the optimizer's own formula.
    private static func carryOut(
        _ optimizer: any Optimizer, _ gradient: PendingGradient, _ operands: Operands, _ rates: UpdateRates,
        keeps: Bool, moves: Bool
    ) {
        // What is moved has no use for a direction, and what is not kept none for slots.
        let direction = moves ? Operand(copying: operands.direction) : operands.direction
        let slots = keeps ? operands.slots : operands.slots.map(Operand.init(copying:))
        materialize(gradient, into: direction.start)
        var buffers = slots.map(\.values)
        withExtendedLifetime((direction, slots)) {
            buffers.withUnsafeMutableBufferPointer { buffers in
                var block = FormulaBlock(
                    gradient: direction.values, parameters: operands.parameters.values, slots: buffers, rates)
                if moves { optimizer.update(&block) } else { optimizer.turnIntoDirection(&block) }
            }
        }
    }

    private static func materialize(_ gradient: PendingGradient, into destination: UnsafeMutablePointer<Float>) {
        var source = UnsafePointer(destination)
        if gradient.elementType == .float32 {
            source = gradient.floats
        } else {
            ReferenceKernels.widen(
                gradient.source.assumingMemoryBound(to: UInt16.self), gradient.elementType, into: destination,
                count: gradient.rows * gradient.columns)
        }
        let widened = PendingGradient(
            source: source, .float32, rows: gradient.rows, columns: gradient.columns, factor: gradient.factor,
            means: gradient.means)
        ReferenceKernels.materialize(widened, into: destination)
    }
}
