import ExampleSupport
import Foundation

/// The four trainings side by side.
struct Comparison {
    let single: TrainingRecord
    let half: TrainingRecord
    let scaledHalf: TrainingRecord
    let chain: TrainingRecord
    /// How many images were held out.
    let heldOutCount: Int

    private var records: [TrainingRecord] { [single, half, scaledHalf, chain] }

    /// A table with a line a training.
    var table: String {
        let columns = Columns(
            "                     ", "held-out", "   loss", "skipped", "clipped", "scale", "flushed", "  time")
        let lines = records.enumerated().map { index, record in
            columns.line(
                "\(index + 1) \(record.name)",
                Cell.share(record.last.accuracy),
                Cell.number(record.last.loss, "%.5f"),
                "\(record.skipped)",
                Cell.share(record.clippedShare),
                Cell.scale(record.last.lossScale),
                Cell.share(record.last.flushes.share),
                Cell.number(record.duration / .seconds(1), "%.1f s"))
        }
        return ([columns.header] + lines).joined(separator: "\n")
    }

    /// What the numbers say.
    var finding: String {
        let accuracies = records.map(\.last.accuracy)
        let spread = (accuracies.max() ?? 0) - (accuracies.min() ?? 0)
        let images = Int((spread * Double(heldOutCount)).rounded())
        let flushed = Cell.share(half.last.flushes.share)
        let scaled = Cell.share(scaledHalf.last.flushes.share)
        return """
            What is seen: in the last epoch Float16 alone flushed \(flushed) of the nonzero gradient
            elements to 0; with a dynamic loss scale it was \(scaled), for \(scaledHalf.skipped) skipped steps that
            changed nothing. The accuracies differ by at most \(images) of the \(heldOutCount) held-out images.
            (The full chain takes a step for four micro-batches: a quarter of the others' steps.)
            """
    }
}
