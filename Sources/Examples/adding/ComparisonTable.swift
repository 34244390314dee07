import ExampleSupport
import Foundation

/// The trainings side by side.
struct ComparisonTable {
    private let columns = Columns(
        "variant                    ", "applied", "skipped", "clipped", "top norm", "held-out", "  time")
    /// The trainings.
    let runs: [Run]

    /// The table, a line a training.
    var lines: [String] {
        [columns.header]
            + runs.map { run in
                columns.line(
                    run.variant.name,
                    "\(run.appliedCount)",
                    "\(run.skippedCount)",
                    run.variant.clips ? String(format: "%.1f %%", run.clippedShare * 100) : "-",
                    String(format: "%.1e", run.largestNorm.norm),
                    Claim.error(run.heldOutError),
                    String(format: "%.1f s", run.duration / .seconds(1)))
            }
    }
}
