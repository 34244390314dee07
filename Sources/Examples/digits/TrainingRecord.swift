import Descent

/// What a whole training was like.
struct TrainingRecord {
    /// Its name.
    let name: String
    /// How long it took.
    let duration: Duration
    /// Its last epoch.
    let last: Epoch
    /// How many steps were skipped.
    let skipped: Int
    /// Why the first of them was.
    let firstSkip: SkipReason?
    /// The share of steps that a stage clipped; nil if no stage takes norms.
    let clippedShare: Double?

    /// Sums up the epochs of a training, of which there is at least one.
    init(_ variant: Variant, _ epochs: [Epoch], _ duration: Duration) {
        precondition(!epochs.isEmpty, "a training without an epoch")
        name = variant.name
        self.duration = duration
        last = epochs[epochs.count - 1]
        let skips = epochs.flatMap(\.skips)
        skipped = skips.count
        firstSkip = skips.first
        let clipped = epochs.compactMap(\.clipped)
        let applied = epochs.reduce(0) { $0 + $1.applied }
        clippedShare = clipped.isEmpty ? nil : Double(clipped.reduce(0, +)) / Double(max(1, applied))
    }
}
