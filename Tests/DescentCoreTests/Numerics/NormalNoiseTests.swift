import Foundation
import TestSupport
import Testing

@testable import DescentCore

/// The numbers that noise is made of: their random bits, and what becomes of them.
@Suite struct NormalNoiseTests {
    @Test func `Philox gives the published answers`() {
        // The test vectors of Random123: "philox4x32 7" and "philox4x32 10".
        let ones = UInt32.max
        let digits = SIMD4<UInt32>(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344)
        for (counter, key, rounds, answer) in [
            (SIMD4(0, 0, 0, 0), 0, 7, SIMD4(0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48)),
            (SIMD4(repeating: ones), .max, 7, SIMD4(0x5207_ddc2, 0x4516_5e59, 0x4d8e_e751, 0x8c52_f662)),
            (digits, 0x299f_31d0_a409_3822, 7, SIMD4(0x4dfc_caba, 0x190a_87f0, 0xc473_62ba, 0xb6b5_242a)),
            (SIMD4(0, 0, 0, 0), 0, 10, SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)),
            (SIMD4(repeating: ones), .max, 10, SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)),
            (digits, 0x299f_31d0_a409_3822, 10, SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)),
        ] as [(SIMD4<UInt32>, UInt64, Int, SIMD4<UInt32>)] {
            #expect(Philox.generate(counter: counter, key: key, rounds: rounds) == answer)
        }
    }

    /// Random bits over the whole range, both ends, and the seams between powers of two and next to 1.
    private var words: [UInt32] {
        var generator = SeededGenerator(seed: 9)
        var words: [UInt32] = [0, 1, 2, 3, 60, 61, 1 << 31 - 1, 1 << 31]
        for shift in 0..<32 as Range<UInt32> {
            for distance in 0..<4 as Range<UInt32> {
                words += [UInt32.max >> shift &- distance, UInt32.max << shift &+ distance]
            }
            let seam = UInt32(0.5.squareRoot() * 0x1p32) >> shift
            words += (seam - min(seam, 5))...(seam + 5)
        }
        return words + (0..<3000).map { _ in .random(in: .min ... .max, using: &generator) }
    }

    @Test func `bits become the pairs of Box and Muller, to six digits`() {
        let noise = NormalNoise(deviation: 2, seed: 0, parameter: 0, step: 0)
        let words = words
        for (index, distance) in words.enumerated() {
            let direction = words[(index * 7 + 3) % words.count]
            let pair = noise.pair(distance, direction)
            let uniform = (Double(distance >> 1) + 0.5) * 0x1p-31
            // Next to 1 the logarithm is that of 1 less a small number.
            let logarithm = uniform > 0.5 ? log1p(-(Double(~distance >> 1) + 0.5) * 0x1p-31) : log(uniform)
            let length = 2 * (-2 * logarithm).squareRoot()
            let angle = Double(Int32(bitPattern: direction) >> 1 | 1) * 0x1p-30 * Double.pi / 4
            let (x, y) = (length * cos(angle) * (direction & 2 == 0 ? 1 : -1), length * sin(angle))
            let expected = direction & 1 == 0 ? (x, y) : (y, x)
            #expect(abs(Double(pair.0) - expected.0) <= 1e-6 * length, "\(distance), \(direction)")
            #expect(abs(Double(pair.1) - expected.1) <= 1e-6 * length, "\(distance), \(direction)")
        }
    }

    @Test func `the tails reach six and a half deviations, and nothing is infinite`() {
        let noise = NormalNoise(deviation: 1, seed: 0, parameter: 0, step: 0)
        #expect(noise.pair(0, 0).0 > 6.5)
        #expect(noise.pair(0, 2).0 < -6.5)
        #expect(noise.pair(.max, 0).0 > 0)
        #expect(noise.pair(.max, 0).0 < 4e-5)
        #expect(words.allSatisfy { noise.pair($0, 0).0.isFinite && noise.pair(0, $0).1.magnitude < 6.7 })
    }

    @Test func `the number of a place is the same wherever elements begin`() {
        let noise = NormalNoise(deviation: 0.3, seed: 77, parameter: 4, step: 9)
        func numbers(_ range: Range<Int>) -> [UInt32] {
            var elements = [Float](repeating: 0, count: range.count)
            var span = elements.mutableSpan
            noise.add(to: &span, from: range.lowerBound)
            return elements.map(\.bitPattern)
        }
        let start = 1 << 33
        let all = numbers(start..<start + 200)
        #expect(Set(all).count == 200)
        for first in 0..<130 {
            for count in [0, 1, 15, 70] where first + count <= 200 {
                #expect(numbers(start + first..<start + first + count) == Array(all[first..<first + count]))
            }
        }
    }

    @Test func `seeds, parameters, steps and high places have numbers of their own`() {
        func number(_ seed: UInt64, _ parameter: Int, _ step: Int, _ counter: UInt64) -> SIMD4<Float> {
            NormalNoise(deviation: 1, seed: seed, parameter: parameter, step: step).numbers(counter)
        }
        let numbers = [
            number(0, 0, 0, 0), number(1, 0, 0, 0), number(1 << 32, 0, 0, 0), number(0, 1, 0, 0), number(0, 0, 1, 0),
            number(0, 0, 0, 1), number(0, 0, 0, 1 << 32),
        ]
        #expect(Set(numbers.flatMap { [$0.x, $0.y, $0.z, $0.w] }).count == 4 * numbers.count)
    }
}
