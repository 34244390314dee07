import Descent
import SeededNumbers

/// Draws tokens from what a model predicts: p_i in proportion to e^(logit_i / temperature).
struct Sampling {
    private let temperature: Float
    private var generator: SeededGenerator

    /// Draws from a seed; a low temperature prefers what is probable.
    init(temperature: Float, seed: UInt64) {
        self.temperature = temperature
        generator = SeededGenerator(seed: seed)
    }

    /// The next token.
    mutating func token(_ logits: [Float]) -> Int {
        let largest = logits.max() ?? 0
        let powers = logits.map { ReproducibleMath.exponential(($0 - largest) / temperature) }
        var rest = Float.random(in: 0..<powers.reduce(0, +), using: &generator)
        for (token, power) in powers.enumerated() {
            rest -= power
            if rest < 0 { return token }
        }
        return powers.count - 1
    }
}
