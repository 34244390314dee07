import ExampleSupport

/// A training as it goes: a line an epoch.
struct EpochTable {
    /// What the columns mean.
    static let legend = """
        A line is an epoch: mean training loss; share of held-out images recognized; mean
        norm of the gradients that were applied; share of steps clipped; loss scale; steps
        skipped so far; share of the nonzero gradient elements that Float16 flushed to 0.
        """

    private let columns = Columns(
        "  epoch", "   loss", "held-out", "   norm", "clipped", "scale", "skipped", "flushed")
    private let epochCount: Int
    private var skipped = 0

    /// The table of a training of so many epochs.
    init(epochCount: Int) { self.epochCount = epochCount }

    /// The titles of the columns.
    var header: String { columns.header }

    /// The line of the next epoch.
    mutating func line(_ epoch: Epoch) -> String {
        skipped += epoch.skips.count
        return columns.line(
            "  \(epoch.number)/\(epochCount)",
            Cell.number(epoch.loss, "%.5f"),
            Cell.share(epoch.accuracy),
            Cell.number(epoch.gradientNorm, "%.5f"),
            Cell.share(epoch.clipped.map { Double($0) / Double(max(1, epoch.applied)) }),
            Cell.scale(epoch.lossScale),
            "\(skipped)",
            Cell.share(epoch.flushes.share))
    }
}
