import DescentCore
import TestSupport
import Testing

@testable import DescentSIMD

/// Operations that are left pending, against the same carried out at once on elements in scratch, bit for bit.
@Suite struct LimitTests {
    /// What is done to a block.
    enum Operation: CaseIterable, Sendable {
        case scale, scaleBack, scaleFar, center, clamp, clampAbove, repair, clipRows, clipRowsMore
        case norm, sumNorm, count, check

        /// Does it, either as it is meant or, where it is a limit, with everything before it carried out and element by element.
        func perform(on block: inout SIMDBlock, atOnce: Bool) -> [UInt64] {
            switch self {
            case .scale: block.scale(by: Float(0.37))
            case .scaleBack: block.scale(by: Float(-8))
            case .scaleFar: block.scale(by: Float(1e-30))
            case .center: block.subtractRowMeans()
            case .clamp: clamp(&block, -0.5...0.75, atOnce)
            case .clampAbove: clamp(&block, -0.0...(.infinity), atOnce)
            case .repair:
                guard atOnce else {
                    block.zeroNonFinite()
                    return []
                }
                block.transformEach { if !$0.isFinite { $0 = 0 } }
            case .clipRows: clipRows(&block, 0.5, atOnce)
            case .clipRowsMore: clipRows(&block, 0.125, atOnce)
            case .norm: return [bits(block.norm(.l2))]
            case .sumNorm: return [bits(block.norm(.l1))]
            case .count: return [UInt64(block.nonFiniteCount())]
            case .check: return [block.isFinite() ? 1 : 0]
            }
            return []
        }

        private func bits(_ norm: Double) -> UInt64 { norm.isNaN ? Double.nan.bitPattern : norm.bitPattern }

        private func clamp(_ block: inout SIMDBlock, _ range: ClosedRange<Float>, _ atOnce: Bool) {
            guard atOnce else { return block.clamp(to: range) }
            block.transformEach { element in
                let raised = element < range.lowerBound ? range.lowerBound : element
                element = raised > range.upperBound ? range.upperBound : raised
            }
        }

        private func clipRows(_ block: inout SIMDBlock, _ factor: Float, _ atOnce: Bool) {
            let clip = RowClip(factor: factor, minimumNorm: 1e-3, epsilon: 1e-6)
            guard atOnce, !block.isStrided else {
                return block.clipRows(factor: factor, minimumNorm: clip.minimumNorm, epsilon: clip.epsilon)
            }
            let (kernels, columns, rows) = (block.kernels, block.columnCount, block.rowCount)
            block.withUnsafeElements { memory in
                guard let gradient = memory.gradient.baseAddress, let parameters = memory.parameters.baseAddress
                else { return }
                for row in 0..<rows {
                    let place = row * columns
                    let factor = kernels.rowFactor(gradient + place, by: parameters + place, count: columns, clip)
                    if factor != 1 { for index in place..<place + columns { gradient[index] *= factor } }
                }
            }
        }
    }

    /// What is measured of each block, and what becomes of the gradient.
    private struct Result: Equatable {
        var measured: [[UInt64]]
        var stored: [UInt32]
    }

    private let layout: ParameterLayout
    private let parameters: TensorSet

    init() throws {
        layout = try ParameterLayout([
            ParameterDescription("small", shape: [37, 3, 3, 3]), ParameterDescription("sixteen", shape: [20, 16]),
            ParameterDescription("wide", shape: [2, 4_500]), ParameterDescription("odd", shape: [9, 83]),
            ParameterDescription("lines", shape: [6, 128]),
            ParameterDescription("vector", shape: [301]), ParameterDescription("scalar", shape: []),
            ParameterDescription("last", shape: [21, 37], outputAxis: .last),
        ])
        parameters = TensorSet.random(layout, seed: 7)
    }

    private func gradients(_ kind: Int, _ type: ElementType) throws -> TensorSet {
        var generator = SeededGenerator(seed: UInt64(kind))
        var tensors = TensorSet.random(layout, seed: 40 + UInt64(kind))
        let specials: [Float] =
            kind == 0 ? [0, -0.0] : [.nan, .infinity, -.infinity, -0.0, 0, .leastNonzeroMagnitude, 3e38, -1e-25]
        for parameter in layout where kind < 3 {
            tensors.withMutableElements(of: parameter.name) { elements in
                for index in elements.indices where Int.random(in: 0..<60 * (kind + 1), using: &generator) == 0 {
                    elements[index] = specials[Int.random(in: specials.indices, using: &generator)]
                }
                // Rows that are empty, and one whose squares vanish.
                for index in 0..<elements.count / 4 where kind == 2 { elements[index] *= index % 2 == 0 ? 0 : 1e-26 }
            }
        }
        guard type != .float32 else { return tensors }
        var rounded = TensorSet(zeros: layout, type)
        for name in layout.map(\.name) { rounded[name] = tensors[name] }
        return rounded
    }

    /// Does operations to all blocks, after others in a sweep before that may keep what it knows of rows.
    private func run(
        _ operations: [Operation], after earlier: [Operation] = [], _ gradients: TensorSet, on level: InstructionSet,
        atOnce: Bool
    ) -> Result {
        let backend = SIMDBackend(threads: 1, blockLength: 5_000, instructionSet: level)
        let blocks = backend.blocks(of: layout)
        let workspace = backend.makeWorkspace(for: layout, blocks: blocks)
        let measured = Measured(blocks.count)
        let output = TensorSet(zeros: layout)
        var sweep = Sweep(gradients: gradients, parameters: parameters, output: output, blocks: blocks)
        sweep.gradientVersion = earlier.isEmpty ? nil : 1
        backend.run(sweep, in: workspace) { block, _ in
            block.slotAccess.readsParameters = true
            for operation in earlier { _ = operation.perform(on: &block, atOnce: false) }
        }
        backend.run(sweep, in: workspace) { block, index in
            block.slotAccess.readsParameters = true
            for operation in operations {
                measured.values[index] += operation.perform(on: &block, atOnce: atOnce)
            }
            block.store()
        }
        return Result(
            measured: measured.values,
            stored: output.arrays.joined().map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern })
    }

    /// What blocks of one thread write down.
    private final class Measured: @unchecked Sendable {
        var values: [[UInt64]]
        init(_ count: Int) { values = [[UInt64]](repeating: [], count: count) }
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable), [ElementType.float32, .float16, .bfloat16])
    func `limits that are pending give the bits of limits in scratch`(
        _ level: InstructionSet, _ type: ElementType
    ) throws {
        var generator = SeededGenerator(seed: 5)
        let limits: [Operation] = [.clamp, .clampAbove, .repair, .clipRows]
        var sequences = Operation.allCases.flatMap { first in limits.map { [first, $0, .norm] } }
        for _ in 0..<30 {
            let length = Int.random(in: 2...6, using: &generator)
            sequences.append((0..<length).map { _ in Operation.allCases.randomElement(using: &generator) ?? .norm })
        }
        let kinds = try (0..<4).map { try gradients($0, type) }
        // Each sequence on another kind of numbers, at another level on the next; types of 16 bits share all but loading.
        let first = level.rawValue.count + (type == .bfloat16 ? 1 : 0)
        for index in stride(from: 0, to: sequences.count, by: type == .float32 ? 1 : 4) {
            let (sequence, kind) = (sequences[index], (first + index / (type == .float32 ? 1 : 4)) % kinds.count)
            let pending = run(sequence, kinds[kind], on: level, atOnce: false)
            let atOnce = run(sequence, kinds[kind], on: level, atOnce: true)
            #expect(pending == atOnce, "\(sequence) on \(kind)")
        }
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable), [ElementType.float32, .bfloat16])
    func `a sweep gives the same bits whatever one before it has kept of rows`(
        _ level: InstructionSet, _ type: ElementType
    ) throws {
        var generator = SeededGenerator(seed: 6)
        let kinds = try (0..<4).map { try gradients($0, type) }
        let ofRows: [Operation] = [.center, .clipRows, .clipRowsMore]
        for number in 0..<32 {
            func sequence(_ first: Int) -> [Operation] {
                (0..<first).map { _ in Operation.allCases.randomElement(using: &generator) ?? .norm }
                    + (0..<2).map { _ in ofRows.randomElement(using: &generator) ?? .center } + [.norm]
            }
            let operations = sequence(number % 3)
            // The same operations before, or others.
            let earlier = number.isMultiple(of: 2) ? operations : sequence(number % 3)
            let fresh = run(operations, kinds[number % 4], on: level, atOnce: false)
            let kept = run(operations, after: earlier, kinds[number % 4], on: level, atOnce: false)
            #expect(Bool(kept == fresh), "\(operations) after \(earlier) on \(number % 4)")
        }
    }
}
