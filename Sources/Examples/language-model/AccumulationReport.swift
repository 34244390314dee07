import ExampleSupport
import Foundation
import LanguageModel

/// What a comparison of micro-batches with large batches has found.
struct AccumulationReport {
    private let comparison: AccumulationComparison

    /// Reports a comparison.
    init(_ comparison: AccumulationComparison) { self.comparison = comparison }

    /// Writes it, and gives 0 if micro-batches make the steps of large batches.
    func write(to console: Console) -> CInt {
        let tolerance = AccumulationComparison.tolerance
        let counts = comparison.tokenCounts.map { $0.map(String.init).joined(separator: " + ") }
        console.write("Tokens of the micro-batches of each step:")
        for count in counts { console.write("  " + count) }
        console.write(
            """

            Activations, float32:     \(Megabytes(comparison.activationByteCounts.microBatch)) for a micro-batch, \
            \(Megabytes(comparison.activationByteCounts.wholeBatch)) for a whole step as one batch
            A parameter has moved by  \(number(comparison.largestMovement)) at most
            and is off the large batch's by at most
              \(number(comparison.weightedDifference))  where micro-batches count by their tokens (allowed: \(tolerance))
              \(number(comparison.unweightedDifference))  where each counts alike
            """)
        guard comparison.weightedDifference <= tolerance else {
            console.complain("language-model: accumulated micro-batches do not make the steps of large batches.")
            return 1
        }
        return 0
    }

    private func number(_ number: Float) -> String { String(format: "%.1e", number) }
}
