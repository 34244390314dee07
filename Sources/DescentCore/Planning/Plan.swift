/// Which sweeps a pipeline makes, and what happens to a block in each.
///
/// The plan follows from the chain alone. It is made once, when the pipeline is built.
struct Plan: Sendable {
    /// What happens to a block, in order.
    enum Operation: Sendable, Equatable {
        /// Multiply by what consecutive scaling stages make of this step, kept in a row of factors.
        case scale(run: Int)
        case transform(stage: Int)
        case measure(statistic: Int)
        case checkGradient
        case accumulate
        case propose
        case discardGradient
        case update
        case copyParameters
        case rememberParameters
        case measureUpdate(statistic: Int)
        case addToHistograms
        case store

        var isTransform: Bool {
            if case .transform = self { true } else { false }
        }
    }

    /// Something that is measured for every parameter, at one place of the chain.
    struct Statistic: Sendable {
        let what: Requirement
        /// How many transforms of the chain the measured gradient has behind it, pending factors aside.
        let position: Int
        /// The first transform whose factor is not in the measured numbers.
        var firstFactor = 0
    }

    /// A sweep that measures, and what can be decided after it.
    struct Measuring: Sendable {
        /// What is done to each block.
        var operations: [Operation] = []
        /// What is measured.
        var statistics: [Int] = []
        /// Statistics that have to be finite, each with the transform that wants it so; nil where it is the policy.
        var checks: [(statistic: Int, stage: Int?)] = []
        /// Transforms that can be prepared after this sweep.
        var prepares: [Int] = []
    }

    /// The part of a chain between two boundaries: its start, an accumulation, its end.
    struct Segment: Sendable {
        let transforms: Range<Int>
        /// Whether it is the part behind an accumulation, or the whole chain.
        let isWindow: Bool
        /// Transforms that can be prepared before anything is measured.
        var prepares: [Int] = []
        var measuring: [Measuring] = []
        /// What the last sweep does to a block, without the segment's end (accumulate, update or store).
        var final: [Operation] = []
    }

    var statistics: [Statistic] = []
    /// Consecutive scaling transforms, folded into one factor a parameter.
    var runs: [Range<Int>] = []
    /// For each transform, the statistics that are what it requires and observes.
    var sources: [[Int]]
    /// The statistics of the parameters' change and of the parameters, where the report is to hold their ratio.
    var change: (update: Int, parameter: Int)?
    /// What ends the last sweep over the gradients.
    var end: [Operation] = []
    /// What ends the sweep after that, for an optimizer that proposes.
    var proposedEnd: [Operation] = []
    /// What happens to each micro-batch; nil without an accumulation.
    var microBatch: Segment?
    /// The statistics of proposed updates and of parameters, for an optimizer that proposes.
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
    /// Norms behind which the chain does nothing but scale, if there are some: they bound what leaves the chain.
    var boundingStatistic: Int?
    /// Whether the row means of the gradients in memory are worth keeping from one sweep to the next: a stage that works
    /// on elements, which alone can subtract them, is measured behind.
    var keepsRowMeans: Bool {
        [microBatch, window].contains { segment in
            segment?.measuring.contains { $0.operations.contains(where: \.isTransform) } ?? false
        }
    }

    /// The first L2 norm of the window that is measured, if one is.
    var inputNorm: Int? {
        window.measuring.first?.statistics.lazy.filter { statistics[$0].what == .norm(.l2) }
            .min { statistics[$0].position < statistics[$1].position }
    }

    /// The number of sweeps over the gradients in a step that is applied, for a micro-batch that closes its window.
    var sweepCount: Int { (microBatch?.measuring.count ?? 0) + window.measuring.count + (proposal == nil ? 1 : 2) }
}
