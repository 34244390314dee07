import DescentCore
import Foundation
import Testing

/// The functions of float32 numbers that loops of stages use.
@Suite struct ElementaryFunctionTests {
    /// A function, and the C library's in Double.
    struct Function: Sendable {
        let name: String
        let compute: @Sendable (Float) -> Float
        let expected: @Sendable (Double) -> Double
        /// The largest magnitude of what it is defined for.
        var limit = Float.infinity
    }

    static let functions: [Function] = [
        Function(name: "exponential", compute: { ReproducibleMath.exponential($0) }, expected: { exp($0) }),
        Function(name: "logarithm", compute: { ReproducibleMath.logarithm($0) }, expected: { log($0) }),
        Function(name: "tanh", compute: { ReproducibleMath.tanh($0) }, expected: { tanh($0) }),
        Function(name: "sigmoid", compute: { ReproducibleMath.sigmoid($0) }, expected: { 1 / (1 + exp(-$0)) }),
        Function(
            name: "sine", compute: { ReproducibleMath.sine($0) }, expected: { sin($0) },
            limit: ReproducibleMath.largestAngle),
        Function(
            name: "cosine", compute: { ReproducibleMath.cosine($0) }, expected: { cos($0) },
            limit: ReproducibleMath.largestAngle),
    ]

    /// How far a number is from what it should be, in units in the last place of that as a float32.
    private func error(of value: Float, _ expected: Double) -> Double {
        let rounded = Float(expected)
        if rounded.isNaN || value.isNaN {
            return rounded.isNaN && value.bitPattern == Float.nan.bitPattern ? 0 : .infinity
        }
        if value == rounded { return value.isInfinite ? 0 : abs(Double(value) - expected) / Double(rounded.ulp) }
        let ulp = rounded.isInfinite ? Float.greatestFiniteMagnitude.ulp : rounded.ulp
        return abs(Double(value) - expected) / Double(ulp)
    }

    @Test(arguments: functions.indices) func `errors over all exponents are below what is stated`(_ index: Int) {
        let function = Self.functions[index]
        var (largest, place) = (0.0, Float.nan)
        // A prime, so that all exponents and all last digits are met: about a million numbers of either sign.
        for bits in stride(from: UInt32(0), through: .max, by: 2_039) {
            let x = Float(bitPattern: bits)
            let expected = x.magnitude <= function.limit ? function.expected(Double(x)) : .nan
            let error = error(of: function.compute(x), expected)
            if error > largest { (largest, place) = (error, x) }
        }
        #expect(largest < 0.501, "\(function.name) of \(place) is \(function.compute(place))")
        #expect(largest > 0.4)
    }

    @Test(arguments: functions.indices) func `numbers where something changes are met too`(_ index: Int) {
        let function = Self.functions[index]
        let edges: [Float] = [
            0, 1, 0.5, 2, 10, 88.72284, 103.97208, 104, 110, 0.34657359, 0.70710677, 1.4142135, .pi, .pi / 2, .pi / 4,
            8.66434, 20, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, .infinity,
            ReproducibleMath.largestAngle, 3.0e7, 710, 0x1p-12,
        ]
        for edge in edges {
            for x in [edge.nextDown, edge, edge.nextUp, -edge, -edge.nextUp, -edge.nextDown] {
                let expected = x.magnitude <= function.limit ? function.expected(Double(x)) : .nan
                let value = function.compute(x)
                #expect(error(of: value, expected) < 0.501, "\(function.name) of \(x) is \(value)")
            }
        }
        #expect(function.compute(.nan).bitPattern == Float.nan.bitPattern)
        #expect(function.compute(-.signalingNaN).bitPattern == Float.nan.bitPattern)
    }

    @Test func `signs are kept, and symmetric to the bit`() {
        for x in [Float(0), 0.25, 3, 50, .leastNonzeroMagnitude] {
            #expect(ReproducibleMath.tanh(-x).bitPattern == (-ReproducibleMath.tanh(x)).bitPattern)
            #expect(ReproducibleMath.sine(-x).bitPattern == (-ReproducibleMath.sine(x)).bitPattern)
            #expect(ReproducibleMath.cosine(-x).bitPattern == ReproducibleMath.cosine(x).bitPattern)
        }
        #expect(ReproducibleMath.logarithm(-0.0) == -.infinity && ReproducibleMath.logarithm(-1).isNaN)
        #expect(ReproducibleMath.sine(ReproducibleMath.largestAngle.nextUp).isNaN)
    }

    /// The bits of a few results, which are the same on every machine.
    @Test func `bits are what they were`() {
        var digest: UInt64 = 0xcbf2_9ce4_8422_2325
        for function in Self.functions {
            for bits in stride(from: UInt32(0), through: .max, by: 1_048_573) {
                digest = (digest ^ UInt64(function.compute(Float(bitPattern: bits)).bitPattern)) &* 0x100_0000_01b3
            }
        }
        #expect(digest == 17_182_747_509_570_158_631)
    }
}
