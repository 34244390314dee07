import DescentCore
import TestSupport
import Testing

@testable import DescentSIMD

/// Kernels against the reference, bit for bit.
///
/// Those of one level: what others give is compared with them by ``KernelTrialTests``, which has more counts too.
@Suite struct KernelTests {
    private static let compared = [InstructionSet.portable]
    static let levels = InstructionSet.allCases.filter(\.isAvailable)
    static let counts = Array(0...20) + [31, 32, 33, 63, 64, 65, 70, 4_097]

    private let reference = ReferenceArithmetic()

    private func same(_ first: Double, _ second: Double) -> Bool {
        first.bitPattern == second.bitPattern || (first.isNaN && second.isNaN)
    }

    @Test(arguments: compared, [false, true]) func `reductions give the bits of the reference`(
        _ level: InstructionSet, _ special: Bool
    ) {
        let wide = Kernels(level)
        for count in Self.counts {
            let floats = KernelFloats(count, seed: UInt64(count), misaligned: count % 5, special: special)
            defer { floats.deallocate() }
            for mean: Float in [0, 0.3] {
                let (a, b) = (
                    reference.sumOfSquares(floats.start, count: count, minus: mean),
                    wide.sumOfSquares(floats.start, count: count, minus: mean)
                )
                #expect(same(a, b), "squares of \(count)")
                let (c, d) = (
                    reference.sumOfMagnitudes(floats.start, count: count, minus: mean),
                    wide.sumOfMagnitudes(floats.start, count: count, minus: mean)
                )
                #expect(same(c, d), "magnitudes of \(count)")
                let (e, f) = (
                    reference.largestMagnitude(floats.start, count: count, minus: mean),
                    wide.largestMagnitude(floats.start, count: count, minus: mean)
                )
                #expect(same(Double(e), Double(f)), "largest of \(count)")
            }
        }
    }

    @Test(arguments: compared, [false, true]) func `row means and centered norms give the bits of the reference`(
        _ level: InstructionSet, _ special: Bool
    ) {
        let wide = Kernels(level)
        for columns in Self.counts where columns > 0 {
            let rows = columns > 1000 ? 2 : 5
            let floats = KernelFloats(rows * columns, seed: UInt64(columns), special: special)
            let (first, second) = (KernelFloats(rows, seed: 0), KernelFloats(rows, seed: 1))
            defer { for floats in [floats, first, second] { floats.deallocate() } }
            var (a, b) = (0.5, 0.5)
            reference.addCenteredSquares(floats.start, rows: rows, columns: columns, means: first.start, to: &a)
            wide.addCenteredSquares(floats.start, rows: rows, columns: columns, means: second.start, to: &b)
            #expect(same(a, b), "\(columns) columns")
            #expect(first.bits(rows) == second.bits(rows))
            reference.rowMeans(floats.start, rows: rows, columns: columns, into: first.start)
            wide.rowMeans(floats.start, rows: rows, columns: columns, into: second.start)
            #expect(first.bits(rows) == second.bits(rows))
        }
    }

    /// Runs an element-wise kernel at two levels over copies of the same memory and compares all of it.
    private func compare(
        _ level: InstructionSet, special: Bool, buffers: Int,
        _ run: (any BlockArithmetic, PendingGradient, [UnsafeMutablePointer<Float>]) -> Void
    ) {
        for count in Self.counts {
            for (rows, columns, factor, isCentered) in [
                (1, count, 1 as Float, false), (1, count, 0.37, false), (3, count / 3, -1.5, true),
            ] {
                let source = KernelFloats(count, seed: 1, misaligned: 3, special: special)
                let means = KernelFloats(rows, seed: 2, special: false)
                let first = (0..<buffers).map {
                    KernelFloats(count, seed: UInt64($0) + 3, misaligned: $0, special: special)
                }
                let second = (0..<buffers).map {
                    KernelFloats(count, seed: UInt64($0) + 3, misaligned: $0, special: special)
                }
                defer { for floats in [source, means] + first + second { floats.deallocate() } }
                let gradient = PendingGradient(
                    source: source.start, .float32, rows: rows, columns: columns, factor: factor,
                    means: isCentered ? UnsafePointer(means.start) : nil)
                run(reference, gradient, first.map(\.start))
                run(Kernels(level), gradient, second.map(\.start))
                for index in 0..<buffers {
                    #expect(first[index].bits(count) == second[index].bits(count), "\(count) elements")
                }
            }
        }
    }

    @Test(arguments: compared, [false, true]) func `updates give the bits of the reference`(
        _ level: InstructionSet, _ special: Bool
    ) {
        for (amsgrad, decoupled) in [(false, true), (true, false)] {
            let rule = AdamRule(
                beta1: 0.9, beta2: 0.999, epsilon: 1e-8, amsgrad: amsgrad, decouplesWeightDecay: decoupled, step: 2)
            let step = rule.coefficients(for: UpdateRates(learningRate: 0.01, weightDecay: 0.1))
            compare(level, special: special, buffers: 4) { kernels, gradient, memory in
                // A second moment is never negative.
                for index in 0..<gradient.rows * gradient.columns { memory[2][index] = memory[2][index].magnitude }
                kernels.adam(
                    gradient, memory[0], first: memory[1], second: memory[2], largest: amsgrad ? memory[3] : nil, step)
            }
            for keepsMoments in [false, true] {
                compare(level, special: special, buffers: 5) { kernels, gradient, memory in
                    for index in 0..<gradient.rows * gradient.columns { memory[2][index] = memory[2][index].magnitude }
                    kernels.adamDirection(
                        gradient, memory[0], first: memory[1], second: memory[2], largest: amsgrad ? memory[3] : nil,
                        into: memory[4], step, keepsMoments: keepsMoments)
                }
            }
        }
        for rule in [
            SGDRule(momentum: 0.9, dampening: 0.1, nesterov: false, maximize: true, isFirst: false),
            SGDRule(momentum: 0.9, dampening: 0, nesterov: true, maximize: false, isFirst: true),
            SGDRule(momentum: 0, dampening: 0, nesterov: false, maximize: false, isFirst: false),
        ] {
            let step = SGDCoefficients(rule, UpdateRates(learningRate: 0.01, weightDecay: 0.1))
            compare(level, special: special, buffers: 2) { kernels, gradient, memory in
                kernels.sgd(gradient, memory[0], velocity: rule.momentum == 0 ? nil : memory[1], step)
            }
        }
    }

    @Test(arguments: levels)
    func `every mixture of signed zeros gives the bits of the reference`(
        _ level: InstructionSet
    ) {
        // All combinations of four buffers, in a count that does not fill the last vector.
        let (values, count): ([Float], Int) = ([0, -0.0, 1, -1], 259)
        let adam = AdamRule(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, amsgrad: true, decouplesWeightDecay: true)
        for (factor, mean) in [(1, nil), (-1, nil), (0.5, nil), (1, 0), (-1, 0), (1, -0.0)] as [(Float, Float?)] {
            let source = (0..<count).map { values[$0 % 4] }
            let means = mean.map { [$0] }
            func run(_ kernels: any BlockArithmetic) -> [UInt32] {
                var memory = (0..<6).map { buffer in (0..<count).map { values[$0 >> (2 * (buffer % 3) + 2) & 3] } }
                // Second moments are never negative.
                memory[2] = memory[2].map(\.magnitude)
                func update(_ body: (PendingGradient, [UnsafeMutablePointer<Float>]) -> Void) {
                    let starts = memory.map { values -> UnsafeMutablePointer<Float> in
                        let copy = UnsafeMutablePointer<Float>.allocate(capacity: count)
                        copy.initialize(from: values, count: count)
                        return copy
                    }
                    source.withUnsafeBytes { source in
                        guard let address = source.baseAddress else { return }
                        (means ?? []).withUnsafeBufferPointer {
                            body(
                                PendingGradient(
                                    source: address, .float32, rows: 1, columns: count, factor: factor,
                                    means: means == nil ? nil : $0.baseAddress), starts)
                        }
                    }
                    memory = starts.map { Array(UnsafeBufferPointer(start: $0, count: count)) }
                    for start in starts { start.deallocate() }
                }
                for (momentum, maximize) in [(0, false), (0, true), (0.9, false), (0.9, true)] as [(Double, Bool)] {
                    let step = SGDCoefficients(
                        SGDRule(momentum: momentum, dampening: 0, nesterov: false, maximize: maximize, isFirst: false),
                        UpdateRates(learningRate: 0.5))
                    update { kernels.sgd($0, $1[0], velocity: momentum == 0 ? nil : $1[3], step) }
                }
                let step = adam.coefficients(for: UpdateRates(learningRate: 0.5))
                update { kernels.adam($0, $1[1], first: $1[4], second: $1[2], largest: $1[5], step) }
                for keepsMoments in [false, true] {
                    update {
                        kernels.adamDirection(
                            $0, $1[1], first: $1[4], second: $1[2], largest: $1[5], into: $1[0], step,
                            keepsMoments: keepsMoments)
                    }
                }
                update { kernels.accumulate($0, onto: UnsafePointer($1[3]), into: $1[3], factor: 1) }
                update { kernels.materialize($0, into: $1[4]) }
                update { kernels.accumulate($0, onto: nil, into: $1[5], factor: 1) }
                return memory.flatMap { $0.map(\.bitPattern) }
            }
            #expect(run(Kernels(level)) == run(reference), "factor \(factor), mean \(mean ?? .nan)")
        }
    }

    @Test(arguments: compared, [false, true]) func `materializing and accumulating give the bits of the reference`(
        _ level: InstructionSet, _ special: Bool
    ) {
        compare(level, special: special, buffers: 3) { kernels, gradient, memory in
            kernels.materialize(gradient, into: memory[0])
            kernels.accumulate(gradient, onto: memory[1], into: memory[1], factor: 0.25)
            kernels.accumulate(gradient, onto: nil, into: memory[2], factor: 3)
        }
    }

    @Test(arguments: compared, [ElementType.float16, .bfloat16])
    func `kernels that widen as they load give the bits of widening first`(
        _ level: InstructionSet, _ type: ElementType
    ) {
        let wide = Kernels(level)
        let rule = AdamRule(
            beta1: 0.9, beta2: 0.999, epsilon: 1e-8, amsgrad: false, decouplesWeightDecay: true, step: 2)
        let adam = rule.coefficients(for: UpdateRates(learningRate: 0.01, weightDecay: 0.1))
        let sgd = SGDCoefficients(
            SGDRule(momentum: 0.9, dampening: 0, nesterov: false, maximize: false, isFirst: false),
            UpdateRates(learningRate: 0.01, weightDecay: 0.1))
        for (count, special) in Self.counts.flatMap({ [($0, false), ($0, true)] }) {
            let (rows, columns) = count % 3 == 0 ? (3, count / 3) : (1, count)
            let floats = KernelFloats(count, seed: 9, special: special)
            let words = UnsafeMutablePointer<UInt16>.allocate(capacity: count + 1)
            defer {
                floats.deallocate()
                words.deallocate()
            }
            reference.narrow(floats.start, type, into: words + 1, count: count)
            reference.widen(words + 1, type, into: floats.start, count: count)

            let squares = wide.sumOfSquares(words + 1, type, count: count)
            #expect(same(squares, wide.sumOfSquares(floats.start, count: count, minus: 0)), "\(count) elements")
            let (means, expected) = (KernelFloats(rows, seed: 2), KernelFloats(rows, seed: 3))
            defer { for floats in [means, expected] { floats.deallocate() } }
            var total = 0.0
            wide.addCenteredSquares(floats.start, rows: rows, columns: columns, means: expected.start, to: &total)
            if let squares = wide.centeredSquares(words + 1, type, rows: rows, columns: columns, means: means.start) {
                #expect(same(squares, total), "\(count) elements")
                #expect(means.bits(rows) == expected.bits(rows))
            } else {
                #expect(special || count == 0, "\(count) ordinary elements had to be widened")
            }

            let memory = (0..<2).map { _ in (0..<5).map { KernelFloats(count, seed: UInt64($0), misaligned: $0) } }
            defer { for floats in memory.joined() { floats.deallocate() } }
            for (index, source) in [UnsafeRawPointer(words + 1), UnsafeRawPointer(floats.start)].enumerated() {
                for isCentered in [false, true] {
                    let gradient = PendingGradient(
                        source: source, index == 0 ? type : .float32, rows: rows, columns: columns,
                        factor: isCentered ? 0.37 : 1, means: isCentered ? UnsafePointer(expected.start) : nil)
                    let starts = memory[index].map(\.start)
                    wide.materialize(gradient, into: starts[0])
                    wide.accumulate(gradient, onto: starts[1], into: starts[1], factor: 0.25)
                    wide.adam(gradient, starts[0], first: starts[2], second: starts[3], largest: nil, adam)
                    wide.sgd(gradient, starts[0], velocity: starts[4], sgd)
                }
            }
            for (stored, widened) in zip(memory[0], memory[1]) {
                #expect(stored.bits(count) == widened.bits(count), "\(count) elements")
            }
        }
    }

    @Test(arguments: compared) func `matrices of all kinds of sizes are transposed, and nothing beside them is touched`(
        _ level: InstructionSet
    ) {
        let (wide, source) = (Kernels(level), KernelFloats(70 * 70, seed: 9, special: true))
        defer { source.deallocate() }
        let sizes = Array(0...5) + [15, 16, 17, 31, 32, 33, 48, 65]
        for rows in sizes {
            for columns in sizes {
                let (stride, sourceStride) = (columns + 3, rows + 2)
                let kernels: [any BlockArithmetic] = [reference, wide]
                let results = kernels.map { kernels in
                    var result = [Float](repeating: -7, count: rows * stride + 1)
                    kernels.transpose(
                        source.start, stride: sourceStride, into: &result, stride: stride, rows: rows, columns: columns,
                        ahead: 0)
                    return result.map(\.bitPattern)
                }
                #expect(results[0] == results[1], "\(rows) x \(columns)")
            }
        }
    }

    @Test(arguments: compared) func `conversions give the bits of the reference, for every pattern of 16 bits`(
        _ level: InstructionSet
    ) {
        let wide = Kernels(level)
        let patterns = (0...UInt16.max).map { $0 }
        for type in [ElementType.float16, .bfloat16] {
            for count in [65_536, 17, 3] {
                var (first, second) = ([Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
                reference.widen(patterns, type, into: &first, count: count)
                wide.widen(patterns, type, into: &second, count: count)
                #expect(first.map(\.bitPattern) == second.map(\.bitPattern), "\(type)")
            }
            let floats = KernelFloats(20_011, seed: 5, special: true)
            defer { floats.deallocate() }
            for count in Self.counts {
                var (first, second) = ([UInt16](repeating: 0, count: count), [UInt16](repeating: 0, count: count))
                reference.narrow(floats.start, type, into: &first, count: count)
                wide.narrow(floats.start, type, into: &second, count: count)
                #expect(first == second, "\(count) of \(type)")
                reference.narrowAtRandom(floats.start, type, into: &first, count: count, seed: 9, first: 1_000)
                wide.narrowAtRandom(floats.start, type, into: &second, count: count, seed: 9, first: 1_000)
                #expect(first == second, "\(count) of \(type) at random")
                // Masters of what is stored, of which every third has been changed since.
                for index in stride(from: 0, to: count, by: 3) { first[index] ^= 1 }
                var (masters, others) = (
                    (0..<count).map { floats.start[$0] }, (0..<count).map { floats.start[$0] }
                )
                reference.takeMasters(&masters, of: first, type, count: count)
                wide.takeMasters(&others, of: first, type, count: count)
                #expect(masters.map(\.bitPattern) == others.map(\.bitPattern), "\(count) masters of \(type)")
            }
        }
    }

    @Test(arguments: [ElementType.float16, .bfloat16])
    func `rounding at random takes one of the two neighbours, and keeps what fits`(
        _ type: ElementType
    ) {
        let floats = KernelFloats(20_011, seed: 5, special: true)
        defer { floats.deallocate() }
        let values = (0..<20_011).map { floats.start[$0] }
        var words = [UInt16](repeating: 0, count: values.count)
        func widened(_ word: UInt16) -> Float {
            type == .float16 ? Float(Binary16(bitPattern: word)) : Float(BFloat16(bitPattern: word))
        }
        for seed: UInt32 in [1, 2, 3] {
            reference.narrowAtRandom(values, type, into: &words, count: values.count, seed: seed, first: 0)
            let wrong = zip(values, words).filter { value, word in
                let result = widened(word)
                guard value.isFinite else { return result != value && !(value.isNaN && result.isNaN) }
                guard result.isFinite, result.sign == value.sign else { return true }
                // The number next to it, on the other side of the value, is beyond the value or is it.
                let next = widened(result.magnitude < value.magnitude ? word &+ 1 : word &- 1)
                let isZero = word & 0x7fff == 0
                return result != value && next.isFinite && !isZero
                    && !(min(result, next)...max(result, next)).contains(value)
            }
            #expect(wrong.isEmpty, "\(wrong.prefix(3))")
            // What can be stored is.
            let stored = words.map(widened)
            var again = words
            reference.narrowAtRandom(stored, type, into: &again, count: stored.count, seed: seed + 1, first: 77)
            #expect(zip(stored, zip(words, again)).allSatisfy { $0.isNaN || $1.0 == $1.1 })
        }
    }
}
