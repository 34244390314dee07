import Descent
import TestSupport
import Testing

/// The two formats of 16 bits against their definition in Double.
@Suite struct HalfPrecisionTests {
    /// What IEEE 754 says of a binary format, as far as rounding depends on it.
    struct Format: Sendable, CustomTestStringConvertible {
        let elementType: ElementType
        /// The bits of a significand, the leading one included.
        let precision: Int
        /// The exponent of the smallest normal number.
        let minimumExponent: Int
        let largest: Double
        let widen: @Sendable (UInt16) -> Float
        let round: @Sendable (Float) -> UInt16

        var testDescription: String { elementType.rawValue }

        /// The number that a bit pattern stands for, NaN aside.
        func value(of bitPattern: UInt16) -> Double {
            let fraction = Int(bitPattern) & (1 << (precision - 1) - 1)
            let biased = Int(bitPattern & 0x7fff) >> (precision - 1)
            let sign: FloatingPointSign = bitPattern & 0x8000 == 0 ? .plus : .minus
            if biased == 1 << (16 - precision) - 1 { return sign == .plus ? .infinity : -.infinity }
            let significand = Double(biased == 0 ? fraction : fraction + 1 << (precision - 1))
            let exponent = minimumExponent - (precision - 1) + max(biased - 1, 0)
            return Double(sign: sign, exponent: exponent, significand: significand)
        }

        func isNaN(_ bitPattern: UInt16) -> Bool {
            let infinity = (1 << (16 - precision) - 1) << (precision - 1)
            return Int(bitPattern & 0x7fff) > infinity
        }

        /// Rounds to nearest, ties to even.
        func nearest(_ value: Float) -> Double {
            guard value.isFinite, value != 0 else { return Double(value) }
            let exponent = max(Int(Double(value).exponent), minimumExponent) - (precision - 1)
            let quantum = Double(sign: .plus, exponent: exponent, significand: 1)
            let rounded = (Double(value) / quantum).rounded(.toNearestOrEven) * quantum
            return abs(rounded) > largest ? (value > 0 ? .infinity : -.infinity) : rounded
        }
    }

    static let formats = [
        Format(
            elementType: .float16, precision: 11, minimumExponent: -14, largest: 65_504,
            widen: { Float(Binary16(bitPattern: $0)) }, round: { Binary16($0).bitPattern }),
        Format(
            elementType: .bfloat16, precision: 8, minimumExponent: -126, largest: 0x1.fep127,
            widen: { Float(BFloat16(bitPattern: $0)) }, round: { BFloat16($0).bitPattern }),
    ]

    @Test(arguments: formats) func `all 65,536 bit patterns become the numbers they stand for, and come back`(
        _ format: Format
    ) {
        var wrong: [UInt16] = []
        for pattern in UInt16.min...UInt16.max {
            let value = format.widen(pattern)
            let back = format.round(value)
            let isRight =
                format.isNaN(pattern)
                ? value.isNaN && format.isNaN(back) && (back ^ pattern) & 0x8000 == 0
                : Double(value).bitPattern == format.value(of: pattern).bitPattern && back == pattern
            if !isRight { wrong.append(pattern) }
        }
        #expect(wrong.isEmpty)
    }

    /// Floats of every exponent and sign: the ends, every kind of tie and its neighbours, and random ones.
    private func samples(_ format: Format) -> [Float] {
        var generator = SeededGenerator(seed: 16)
        let dropped = UInt32(24 - format.precision)
        let half: UInt32 = 1 << (dropped - 1)
        var bits: [UInt32] = [0, 1]
        for exponent in UInt32(0)...255 {
            var fractions: [UInt32] = [
                0, 1, half - 1, half, half + 1, 0x7f_ffff, 0x7f_ffff - half, 0x7f_ffff - half + 1,
            ]
            for _ in 0..<6 {
                let fraction = UInt32.random(in: 0...0x7f_ffff, using: &generator)
                let tie = fraction & ~(half << 1 - 1) | half
                fractions += [fraction, tie - 1, tie, tie + 1, tie ^ half << 1]
            }
            bits += fractions.map { exponent << 23 | $0 }
        }
        return bits.flatMap { [Float(bitPattern: $0), Float(bitPattern: $0 | 0x8000_0000)] }
    }

    private func expectNearest(_ values: [Float], _ format: Format) {
        let wrong = values.filter { value in
            let rounded = format.round(value)
            if value.isNaN { return !format.isNaN(rounded) }
            return Double(format.widen(rounded)).bitPattern != format.nearest(value).bitPattern
        }
        #expect(wrong.isEmpty, "\(wrong.prefix(8))")
    }

    @Test(arguments: formats) func `a float becomes the nearest number, ties to even, at every exponent`(
        _ format: Format
    ) {
        let values = samples(format)
        expectNearest(values, format)
        for value in values.prefix(2000) where !value.isNaN {
            #expect(format.elementType.rounded(value).bitPattern == Float(format.nearest(value)).bitPattern)
        }
    }

    @Test(arguments: formats) func `numbers between two subnormal ones become the nearer, ties the even one`(
        _ format: Format
    ) {
        let smallest = Double(
            sign: .plus, exponent: format.minimumExponent - (format.precision - 1), significand: 1)
        // Past the last subnormal number, into the normal ones.
        let count = 1 << (format.precision - 1) + 2
        let values = (0..<count).flatMap { step -> [Float] in
            let tie = Float((Double(step) + 0.5) * smallest)
            return [tie, tie.nextUp, tie.nextDown, -tie, -tie.nextUp, -tie.nextDown]
        }
        expectNearest(values, format)
        #expect(format.round(Float(smallest / 2)) == 0)
        #expect(format.round(-Float(smallest / 2)) == 0x8000)
        #expect(format.round(Float(smallest * 0.75)) == 1)
    }

    @Test(arguments: formats) func `numbers too large become infinite, not the largest`(_ format: Format) {
        let largest = Float(format.largest)
        let spacing = format.largest - format.value(of: format.round(largest) - 1)
        // From half a step above the largest number on.
        let limit = Float(format.largest + spacing / 2)
        #expect(format.widen(format.round(limit.nextDown)) == largest)
        #expect(format.widen(format.round(limit)) == .infinity)
        #expect(format.widen(format.round(-limit)) == -.infinity)
        #expect(format.widen(format.round(.infinity)) == .infinity)
        #expect(format.widen(format.round(-.infinity)) == -.infinity)
        #expect(format.isNaN(format.round(Float(bitPattern: 0x7f80_0001))))
        #expect(format.isNaN(format.round(Float(bitPattern: 0xffff_ffff))))
    }

    #if !(arch(x86_64) && os(macOS))
        @Test func `half precision is Swift's own Float16`() {
            let patterns = (UInt16.min...UInt16.max).filter {
                let value = Float(Float16(bitPattern: $0))
                return !value.isNaN && Float(Binary16(bitPattern: $0)).bitPattern != value.bitPattern
            }
            #expect(patterns.isEmpty)
            let values = samples(Self.formats[0]).filter {
                !$0.isNaN && Binary16($0).bitPattern != Float16($0).bitPattern
            }
            #expect(values.isEmpty, "\(values.prefix(8))")
        }
    #endif

    @Test(arguments: formats) func `a set of tensors rounds what is set and gives what it stores`(
        _ format: Format
    ) throws {
        let layout = try makeLayout([[3, 5], [0], []])
        let values = TensorSet.random(layout, seed: 8)
        var tensors = TensorSet(zeros: layout, format.elementType)
        #expect(tensors.elementType == format.elementType)
        #expect(tensors.arrays.joined().allSatisfy { $0.bitPattern == 0 })
        for name in layout.map(\.name) { tensors[name] = values[name] }
        #expect(tensors.arrays == values.arrays.map { $0.map { Float(format.nearest($0)) } })
        let copy = tensors
        tensors.withMutableBitPatterns(of: "layer0.weight") { patterns in
            for index in patterns.indices {
                #expect(patterns[index] == format.round(values["layer0.weight"][index]))
                patterns[index] = UInt16(index)
            }
        }
        #expect(tensors["layer0.weight"] == (0..<15).map { format.widen($0) })
        #expect(copy["layer0.weight"] == values["layer0.weight"].map { Float(format.nearest($0)) })
    }
}
