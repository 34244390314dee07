import CDescentKernels
import DescentCore
import TestSupport
import Testing

@testable import DescentSIMD

/// Norms of any p: kernels against the reference bit for bit, and norms against their definition in Double.
@Suite struct PowerNormTests {
    static let powers = [0.5, 0.7, 1, 1.5, 2, 2.5, 3, 4, 7, 10, 33.3, 64, 65, 95.5]
    private let kernels = Kernels(.preferred)

    private func floats(_ count: Int, seed: UInt64, exponents: ClosedRange<Int>) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            let exponent = Int.random(in: exponents, using: &generator)
            return max(-0x1p127, min(0x1p127, generator.normal()))
                * Float(Double(sign: .plus, exponent: exponent, significand: 1))
        }
    }

    // MARK: Kernels

    @Test(arguments: KernelTests.levels, powers) func `every level gives the bits of the reference`(
        _ level: InstructionSet, _ p: Double
    ) {
        let table = Kernels(level).table
        var power = descent_power(p)
        for count in Array(0...70) + [4_095, 4_096, 4_097, 9_000] {
            let values = floats(count + 1, seed: UInt64(count), exponents: -30...0)
            for (mean, scale) in [(0, 1), (0.1, 1), (-0.3, 0.25), (0, 0x1p20)] as [(Float, Float)] {
                power.scale = scale
                // No power overflows where the largest is below 2^96 / p.
                let bounded = values.map { $0 / 16 * min(1, 1 / scale) }
                bounded.withUnsafeBufferPointer { bounded in
                    guard let start = bounded.baseAddress else { return }
                    let sum = table.pointee.sum_of_powers(start + 1, count, mean, &power)
                    let expected = ReferenceKernels.sumOfPowers(start + 1, count: count, minus: mean, power)
                    #expect(sum.bitPattern == expected.bitPattern, "\(count) elements, less \(mean), times \(scale)")
                }
            }
        }
    }

    // MARK: Norms

    /// The norm as it is defined, relative to the largest magnitude.
    private func definition(_ values: [Float], _ p: Double) -> Double {
        let largest = Double(values.map(\.magnitude).max() ?? 0)
        guard largest > 0 else { return 0 }
        let sum = values.reduce(0.0) { $0 + ReproducibleMath.power(Double($1.magnitude) / largest, p) }
        return largest * ReproducibleMath.power(sum, 1 / p)
    }

    private func measure(_ values: [Float], _ p: Double) -> Double {
        values.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { return 0 }
            return kernels.norm(.lp(p), start, rows: 1, columns: values.count, means: nil)
        }
    }

    @Test(arguments: powers + [0.1, 0.3, 97, 200]) func `norms are the defined ones at every size`(_ p: Double) {
        for count in Array(0...70) + [4_096, 4_097, 8_200] {
            let values = floats(count, seed: UInt64(count) + 5, exponents: -3...0)
            let expected = definition(values, p)
            #expect(abs(measure(values, p) - expected) <= 1e-6 * expected, "\(count) elements")
        }
    }

    @Test(arguments: powers) func `norms are the defined ones at every magnitude`(_ p: Double) {
        for exponent in stride(from: -149, through: 126, by: 5) {
            for spread in [0, 20, 280] {
                let values = floats(300, seed: 3, exponents: max(-149, exponent - spread)...exponent)
                let expected = definition(values, p)
                let measured = measure(values, p)
                #expect(abs(measured - expected) <= 1e-6 * expected, "2^\(exponent), over \(spread) exponents")
            }
        }
    }

    @Test(arguments: powers) func `ranges of different magnitudes are put together as defined`(_ p: Double) {
        for exponents in [
            [0, -10, 10], [-40, 0, -40, 40], [-140, 100, -120], [120, -149], [126, 0, 126], [3, 3, 4],
        ] {
            let values = exponents.enumerated().flatMap { index, exponent in
                floats(4_096, seed: UInt64(index), exponents: exponent...exponent)
            }
            let expected = definition(values, p)
            #expect(abs(measure(values, p) - expected) <= 1e-6 * expected, "\(exponents)")
        }
    }

    @Test(arguments: powers) func `means are subtracted row by row`(_ p: Double) {
        for columns in [1, 3, 16, 70, 5_000] {
            let rows = 7
            let values = floats(rows * columns, seed: 8, exponents: -2...0)
            let means = floats(rows, seed: 9, exponents: -1...1)
            let rest = values.indices.map { values[$0] - means[$0 / columns] }
            let expected = definition(rest, p)
            let measured = values.withUnsafeBufferPointer { values in
                means.withUnsafeBufferPointer { means in
                    kernels.norm(.lp(p), values.baseAddress!, rows: rows, columns: columns, means: means.baseAddress)
                }
            }
            #expect(abs(measured - expected) <= 1e-6 * expected, "\(columns) columns")
        }
    }

    @Test(arguments: powers) func `a NaN makes a norm NaN, an infinity infinite`(_ p: Double) {
        for place in [0, 5, 4_999] {
            var values = floats(5_000, seed: 1, exponents: 0...0)
            values[place] = -.infinity
            #expect(measure(values, p) == .infinity)
            values[4_998 - place / 2] = .nan
            #expect(measure(values, p).isNaN)
        }
    }

    @Test(arguments: powers) func `nothing but zeros has norm 0, and one number its magnitude`(_ p: Double) {
        #expect(measure([Float](repeating: -0.0, count: 5_000), p) == 0)
        for value in [Float.leastNonzeroMagnitude, .leastNormalMagnitude, 0.3, -1, .greatestFiniteMagnitude] {
            var values = [Float](repeating: 0, count: 5_000)
            values[4_321] = value
            #expect(abs(measure(values, p) / Double(value.magnitude) - 1) < 1e-6)
        }
    }
}
