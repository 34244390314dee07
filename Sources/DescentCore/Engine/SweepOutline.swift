/// What a sweep of a step is, but for its tensors: what it reads and writes, and over which blocks it runs.
public struct SweepOutline: Sendable {
    /// The slot that blocks read the gradient from; nil where that is the micro-batch.
    @usableFromInline var source: Int?
    /// The slot of the parameters' float32 values; nil where none are kept.
    @usableFromInline var masters: Int?
    /// Whether parameters are changed.
    @usableFromInline var updates: Bool
    @usableFromInline var slotShapes: [Slot.Shape]
    @usableFromInline var appliedSteps: Int
    @usableFromInline var gradientVersion: Int?
    @usableFromInline var blocks: [BlockExtent]
    @usableFromInline var neighbours: [Range<Int>]
    @usableFromInline var range: Range<Int>?
    @usableFromInline var runsBackwards: Bool
}

extension Sweep {
    /// Makes a sweep of a step.
    ///
    /// - Parameters:
    ///   - outline: What it is.
    ///   - tensors: What the step has been given.
    ///   - slots: All slots.
    ///   - parameterCopies: The copy that is kept of the parameters; one or none.
    @inlinable init(
        _ outline: borrowing SweepOutline, _ tensors: borrowing StepTensors<Tensors>, slots: [Tensors],
        parameterCopies: [Tensors]
    ) {
        let source = if let slot = outline.source { slots[slot] } else { tensors.gradients }
        guard let source else { stopForMisuse("a sweep without gradients to read") }
        self.init(
            gradients: source, parameters: tensors.parameters, output: tensors.output,
            parameterCopy: parameterCopies.first, slots: slots, slotShapes: outline.slotShapes,
            appliedSteps: outline.appliedSteps, gradientVersion: outline.gradientVersion, blocks: outline.blocks,
            range: outline.range, runsBackwards: outline.runsBackwards)
        neighbours = outline.neighbours
        masterParameters = outline.masters.map { slots[$0] }
        onlyReadsParameters = !outline.updates
        updatedParameters = outline.updates ? tensors.updatedParameters : nil
    }
}
