import CDescentKernels
import DescentCore
import TestSupport
import Testing

@testable import DescentSIMD

/// What codes of 8 bits stand for, whatever makes them.
@Suite struct EightBitCodeTests {
    /// A run of sixteen groups that lie side by side.
    private static let count = 512

    /// What is left of numbers that have been kept in codes, with random bits of a seed.
    private func kept(_ numbers: [Float], isSigned: Bool, seed: UInt32, _ level: InstructionSet) -> [Float] {
        let kernels = Kernels(level)
        var codes = [UInt8](repeating: 0, count: numbers.count)
        var scales = [UInt8](repeating: 0, count: 16)
        var result = [Float](repeating: 0, count: numbers.count)
        codes.withUnsafeMutableBytes { codes in
            scales.withUnsafeMutableBufferPointer { scales in
                var moments = descent_moments()
                moments.type = descent_moments_coded
                moments.are_interleaved = true
                moments.elements.0 = codes.baseAddress
                moments.scales.0 = scales.baseAddress
                moments.seeds.0 = seed
                kernels.encode(
                    numbers, isSigned: isSigned, slot: isSigned ? 0 : 1, rows: 1, columns: numbers.count, into: moments)
                kernels.decode(moments, isSigned: isSigned, rows: 1, columns: numbers.count, into: &result)
            }
        }
        return result
    }

    /// Magnitudes over so many powers of two, the largest of each group 1.
    private func magnitudes(_ range: Int) -> [Float] {
        (0..<Self.count).map { index in
            index < 16 ? 1 : Float(sign: .plus, exponent: -(index % range), significand: 1 + Float(index % 97) / 97)
        }.map { min($0, 1) }
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable))
    func `numbers are kept to an eighth, and stay as they are from then on`(_ level: InstructionSet) {
        for isSigned in [false, true] {
            // As far down as codes have all their places.
            let numbers = magnitudes(isSigned ? 14 : 29).enumerated().map { isSigned && $0 % 3 == 0 ? -$1 : $1 }
            let once = kept(numbers, isSigned: isSigned, seed: 1, level)
            for (number, result) in zip(numbers, once) { #expect(abs(result / number - 1) <= 0.125) }
            #expect(kept(once, isSigned: isSigned, seed: 2, level) == once)
        }
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable))
    func `what is above 0 and never negative does not become 0`(_ level: InstructionSet) {
        let numbers = magnitudes(100)
        let result = kept(numbers, isSigned: false, seed: 1, level)
        #expect(!result.contains { $0 <= 0 })
        #expect(result.min() == 0x1p-29)
        #expect(kept([1] + [Float](repeating: 0, count: 511), isSigned: false, seed: 1, level).dropFirst().max() == 0)
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable))
    func `on average nothing is lost, of small numbers either`(_ level: InstructionSet) {
        var generator = SeededGenerator(seed: 7)
        for number in [0.8137, -0.3, 0x1.3p-13, 0x1.3p-16, -0x1.7p-18] as [Float] {
            var numbers = [Float](repeating: number, count: Self.count)
            for index in 0..<16 { numbers[index] = 1 }
            var sum = 0.0
            let rounds = 200
            for _ in 0..<rounds {
                // Not in equal steps: those are how the places of a tensor differ.
                let seed = UInt32.random(in: 0 ... .max, using: &generator)
                let result = kept(numbers, isSigned: true, seed: seed, level)
                sum += result.dropFirst(16).reduce(0) { $0 + Double($1) }
            }
            let mean = sum / Double(rounds * (Self.count - 16))
            // Places are at most an eighth of the number apart, or 2^-17: five deviations of the mean of 99,200.
            let place = max(Double(abs(number)) / 8, 0x1p-17)
            #expect(abs(mean - Double(number)) < 5 * place / 2 / Double(rounds * (Self.count - 16)).squareRoot())
        }
    }
}
