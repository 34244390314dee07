/// How a micro-batch is added to its window, in the sweep that it is read in.
@usableFromInline struct WindowAddition: Sendable {
    /// The slot of the sum that it is added to; nil for the first of a window.
    @usableFromInline var sum: Int?
    /// The slot that the new sum is written to; nil where it is only looked at, because the step is not decided yet.
    @usableFromInline var destination: Int?
    /// What the micro-batch is multiplied by.
    @usableFromInline var factor: Float
    /// Whether the stages before the accumulation work on it first.
    var runsMicroBatchStages = true
}

/// What one sweep does to every block.
struct SweepProgram {
    /// What is done to the gradient.
    var operations: [Plan.Operation] = []
    /// What ends the sweep: an update, a store, or nothing.
    var end: [Plan.Operation] = []
    /// The addition to the window that comes before the operations, where the sweep reads a micro-batch.
    var addition: WindowAddition?
    /// What the window's sum is multiplied by, where the operations work on the accumulated window.
    var windowFactor: Double?
    /// Whether stages may change their slots for good.
    var keepsSlots = true
    /// Whether histograms are made of the gradient before the operations, if they were asked for.
    var makesHistograms = false
    /// Whether the new sum is checked for NaN and infinities.
    var checksSum = false
    var runsBackwards = false
    /// Whether parameters are changed.
    var updates = false
    /// Whether parameters are left out that are handed out as whole tensors in the last sweep.
    var leavesOutWholeTensors = false
    /// The pass over whole tensors that this is; nil for a sweep.
    var pass: Int?
}
