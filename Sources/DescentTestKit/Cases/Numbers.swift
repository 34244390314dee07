import SeededNumbers

/// What kind of numbers gradients hold.
enum Numbers: String, Sendable {
    case normal = "normally distributed"
    case quarters = "multiples of 1/4"
    case ones = "ones"
    case zero = "zeros"
    case subnormal = "subnormal numbers"
    case huge = "numbers near the largest Float"
    case mixed = "numbers of all magnitudes, zeros and subnormal ones among them"

    /// Numbers that are easier to read, and may do to show the same; the first is the easiest.
    var simpler: [Numbers] {
        switch self {
        case .normal: [.ones, .quarters]
        case .quarters: [.ones]
        case .ones, .zero, .subnormal, .huge, .mixed: []
        }
    }

    /// One of the numbers.
    func draw(_ generator: inout SeededGenerator) -> Float {
        switch self {
        case .normal: return generator.roughlyNormal()
        case .quarters: return Float(Int.random(in: -8...8, using: &generator)) / 4
        case .ones: return 1
        case .zero: return 0
        case .subnormal:
            return Self.signed(.leastNonzeroMagnitude * Float(Int.random(in: 1...1000, using: &generator)), &generator)
        case .huge:
            return Self.signed(
                .greatestFiniteMagnitude * Float.random(in: 0.5...1, using: &generator), &generator)
        case .mixed:
            // All exponents that a finite float can have, all as likely.
            let exponent = UInt32.random(in: 0..<255, using: &generator)
            let significand = UInt32.random(in: 0..<1 << 23, using: &generator)
            if Int.random(in: 0..<8, using: &generator) == 0 { return 0 }
            return Self.signed(Float(bitPattern: exponent << 23 | significand), &generator)
        }
    }

    private static func signed(_ value: Float, _ generator: inout SeededGenerator) -> Float {
        Bool.random(using: &generator) ? value : -value
    }
}
