/// Which sweeps a pipeline makes, and what happens to a block in each.
///
/// The plan follows from the chain alone. It is made once, when the pipeline is built.
struct Plan: Sendable {
    /// What happens to a block, in order.
    enum Operation: Sendable, Equatable {
        /// Multiply by what consecutive scaling stages make of this step, kept in a row of factors.
        case scale(run: Int)
        case transform(stage: Int)
        case measure(column: Int)
        case checkGradient
        case accumulate
        case propose
        case discardGradient
        case update
        case copyParameters
        case rememberParameters
        case measureUpdate(column: Int)
        case addToHistograms
        case store

        var isTransform: Bool {
            if case .transform = self { true } else { false }
        }
    }

    /// Something that is measured for every parameter, at one place of the chain.
    struct Column: Sendable {
        let what: Requirement
        /// How many stages of the chain the measured gradient has behind it, pending factors aside.
        let position: Int
        /// The first stage whose factor is not in the measured numbers.
        var firstFactor = 0
    }

    /// A sweep that measures, and what can be decided after it.
    struct Measuring: Sendable {
        /// What is done to each block.
        var operations: [Operation] = []
        /// What is measured.
        var columns: [Int] = []
        /// Columns that have to be finite, each with the stage that wants it so; nil where it is the policy.
        var checks: [(column: Int, stage: Int?)] = []
        /// Stages that can be prepared after this sweep.
        var prepares: [Int] = []
    }

    /// The part of a chain between two boundaries: its start, an accumulation, its end.
    struct Segment: Sendable {
        let stages: Range<Int>
        /// Whether it is the part behind an accumulation, or the whole chain.
        let isWindow: Bool
        /// Stages that can be prepared before anything is measured.
        var prepares: [Int] = []
        var measuring: [Measuring] = []
        /// What the last sweep does to a block, without the segment's end (accumulate, update or store).
        var final: [Operation] = []
    }

    var columns: [Column] = []
    /// Consecutive scaling stages, folded into one factor a parameter.
    var runs: [Range<Int>] = []
    /// For each stage, the columns of what it requires and observes.
    var sources: [[Int]]
    /// The columns of the parameters' change and of the parameters, where the report is to hold their ratio.
    var change: (update: Int, parameter: Int)?
    /// What ends the last sweep over the gradients.
    var end: [Operation] = []
    /// What ends the sweep after that, for an optimizer that proposes.
    var proposedEnd: [Operation] = []
    /// What happens to each micro-batch; nil without an accumulation.
    var microBatch: Segment?
    /// The stage that accumulates.
    var accumulating: Int?
    /// The stage that exchanges gradients with other processes, if there are others.
    var exchanging: Int?
    /// The stage that stands for processes with other parts of the parameters, if there are others.
    var sharding: Int?
    /// The columns of proposed updates and of parameters, for an optimizer that proposes.
    var proposal: (update: Int, parameter: Int)?
    /// What happens to a whole window; to each step, without an accumulation.
    var window: Segment
    /// Whether NaN and infinities in a window's sum are to be found as they enter it: where the sum has to be finite.
    var checksInput = false
    /// Whether a stage can throw once the last micro-batch of a window has been measured, so that its sum is not written
    /// before that is over.
    var mayReopenWindow = false
    /// Whether what lasts is checked for NaN and infinities as it is written.
    var checksResult = false
    /// Whether a factor that is not finite skips the step.
    var checksFactors = false
    /// A column of norms behind which the chain does nothing but scale, if there is one: it bounds what leaves the chain.
    var boundingColumn: Int?
    /// Whether the row means of the gradients in memory are worth keeping from one sweep to the next: a stage that works
    /// on elements, which alone can subtract them, is measured behind.
    var keepsRowMeans: Bool {
        [microBatch, window].contains { segment in
            segment?.measuring.contains { $0.operations.contains(where: \.isTransform) } ?? false
        }
    }

    /// The first L2 norm of the window that is measured, if one is.
    var inputColumn: Int? {
        window.measuring.first?.columns.lazy.filter { columns[$0].what == .norm(.l2) }
            .min { columns[$0].position < columns[$1].position }
    }

    /// The number of sweeps over the gradients in a step that is applied, for a micro-batch that closes its window.
    var sweepCount: Int { (microBatch?.measuring.count ?? 0) + window.measuring.count + (proposal == nil ? 1 : 2) }
}
