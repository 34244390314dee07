import Foundation

/// The bar to beat: a model that looks at one character to predict the next, by counting.
///
///     p(b | a) = (n(a, b) + k p(b)) / (n(a) + k)        p(b) = (n(b) + 1) / (N + tokens),   k = 5
///
/// MacKay and Peto, "A hierarchical Dirichlet language model" (1995).
package struct Bigram {
    private static let strength = 5.0
    private let tokenCount: Int
    private var pairs: [Double]
    private var singles: [Double]

    /// Counts a text.
    package init(_ text: [Int], tokenCount: Int) {
        self.tokenCount = tokenCount
        pairs = [Double](repeating: 0, count: tokenCount * tokenCount)
        singles = [Double](repeating: 0, count: tokenCount)
        for (first, second) in zip(text, text.dropFirst()) {
            pairs[first * tokenCount + second] += 1
            singles[second] += 1
        }
    }

    /// The mean of -log p(next token) over what batches ask for, in nats.
    package func loss(_ batches: [Batch]) -> Double {
        let total = singles.reduce(0, +) + Double(tokenCount)
        let sums = (0..<tokenCount).map { first in
            pairs[first * tokenCount..<(first + 1) * tokenCount].reduce(Self.strength, +)
        }
        var loss = 0.0
        for batch in batches {
            for (first, second) in zip(batch.tokens, batch.targets) {
                let usual = (singles[second] + 1) / total
                loss -= log((pairs[first * tokenCount + second] + Self.strength * usual) / sums[first])
            }
        }
        return loss / Double(batches.reduce(0) { $0 + $1.tokens.count })
    }
}
