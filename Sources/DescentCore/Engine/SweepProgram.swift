/// How a micro-batch becomes part of its window, in the sweep that it is read in.
struct Gathering {
    var slot: Int
    var factor: Float
    var overwrites: Bool
    /// Whether the stages before the accumulation work on it first.
    var runsMicroBatchStages = true
}

/// What one sweep does to every block.
struct SweepProgram {
    /// What is done to the gradient.
    var operations: [Plan.Operation] = []
    /// What ends the sweep: an update, a store, or nothing.
    var end: [Plan.Operation] = []
    /// The accumulation that comes before the operations, where the sweep reads a micro-batch.
    var gathering: Gathering?
    /// What the window's sum is multiplied by, where the operations work on the accumulated window.
    var windowFactor: Float?
    /// Whether stages may change their slots for good.
    var keepsSlots = true
    /// Whether histograms are made of the gradient before the operations, if they were asked for.
    var makesHistograms = false
    var runsBackwards = false
}
