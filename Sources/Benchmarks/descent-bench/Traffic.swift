import Descent

/// What one update of the parameters reads from memory and writes to it, as the plan has it.
struct Traffic {
    /// For each element, what is read and what is written, together.
    let bytesPerElement: Int

    /// Counts sweeps: each reads the gradient, or what has been accumulated of it, and the last one also reads and writes
    /// the parameters and what the optimizer keeps.
    init(of subject: Subject) {
        let isAccumulating = subject.chain == .accumulate
        let hasMasters = subject.chain == .masters
        let optimizerSlots = subject.pipeline.slotNames.count - (isAccumulating || hasMasters ? 1 : 0)
        let parameter = subject.parameters.elementType.byteCount + (hasMasters ? 4 : 0)
        let gradient = subject.gradients.elementType.byteCount
        var bytes = subject.pipeline.sweepCount * gradient + 2 * (parameter + 4 * optimizerSlots)
        if isAccumulating {
            // The first micro-batch writes the sum; each of the others reads it too, the last in the first sweep above.
            bytes += (gradient + 4) + (subject.chain.microBatchCount - 2) * (gradient + 4 + 4) + (4 + 4)
        }
        bytesPerElement = bytes
    }
}
