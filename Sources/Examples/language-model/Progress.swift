import Descent
import Foundation
import LanguageModel

/// How far training has come, and how fast it is.
struct Progress {
    private let stepCount: Int
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private var tokenCount = 0
    private var recent: [(loss: Double, tokenCount: Int)] = []

    /// Starts the clock.
    init(stepCount: Int) {
        self.stepCount = stepCount
        start = clock.now
    }

    /// Counts a micro-batch.
    mutating func count(_ microBatch: Training.MicroBatch) {
        tokenCount += microBatch.tokenCount
        recent.append((microBatch.loss, microBatch.tokenCount))
        if recent.count > 40 { recent.removeFirst() }
    }

    /// The line of a step: the loss is the mean over the last 40 micro-batches, by tokens.
    func line(_ report: StepReport) -> String {
        let loss = recent.reduce(0) { $0 + $1.loss * Double($1.tokenCount) }
        let tokens = recent.reduce(0) { $0 + $1.tokenCount }
        let seconds = max((clock.now - start) / .seconds(1), 1e-9)
        return String(
            format: "step %4ld/%ld  loss %.3f  norm %.2f  rate %.5f  %6.0f tokens/s", report.appliedSteps, stepCount,
            loss / Double(max(1, tokens)), report.gradientNorm ?? 0, report.learningRate, Double(tokenCount) / seconds)
    }
}

/// A number of bytes, as people say it.
struct Megabytes: CustomStringConvertible {
    private let bytes: Int

    init(_ bytes: Int) { self.bytes = bytes }

    var description: String { String(format: "%.1f MB", Double(bytes) / 1e6) }
}
