/// Which sweeps a pipeline makes, and what happens to a block in each.
///
/// The plan follows from the chain alone. It is made once, when the pipeline is built.
@usableFromInline struct Plan: Sendable {
    /// What happens to a block, in order.
    @usableFromInline enum Operation: Sendable, Equatable {
        /// Multiply by what consecutive scaling stages make of this step, kept in a row of factors.
        case scale(run: Int)
        /// Run the transform of a station.
        case transform(station: Int)
        /// Turn the gradient into the direction of a branch's optimizer.
        case direct(station: Int)
        /// Keep a copy of the gradient that an optimizer makes its update of, for stages behind it.
        case rememberGradient(station: Int)
        /// Go on with what a pass over whole tensors has made.
        case load(pass: Int)
        /// Keep what a pass over whole tensors has made.
        case keep(pass: Int)
        /// Measure; what is of one branch or a stage's own business is looked up first.
        case measure(statistic: Int, isOwn: Bool)
        case checkGradient
        case accumulate
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

    /// A pass over whole tensors, behind which something is measured: its result is kept in a buffer until the step ends.
    struct Pass: Sendable {
        /// Who works on whole tensors.
        let station: Int
        /// What is done to each tensor, the station's own work at the end.
        var operations: [Operation]
        /// How it ends: with a result that is kept.
        let end: [Operation]
    }

    /// Something that is measured for every parameter, at one place of the chain.
    @usableFromInline struct Statistic: Sendable {
        @usableFromInline let what: Requirement
        /// How many transforms of the chain the measured gradient has behind it, pending factors aside.
        let position: Int
        /// The branch whose parameters it is measured of; nil for all.
        @usableFromInline var branch: Int?
        /// The station that measures it, where that is its own business.
        @usableFromInline var station: Int?
        /// The first transform whose factor is not in the measured numbers.
        var firstFactor = 0

        /// Whether it is of one branch, or a stage's own business.
        var isOwn: Bool { branch != nil || station != nil }
    }

    /// A sweep that measures, and what can be decided after it.
    struct Measuring: Sendable {
        /// What is done to each block.
        var operations: [Operation] = []
        /// What is measured.
        var statistics: [Int] = []
        /// Statistics that have to be finite, each with the transform that wants it so; nil where it is the policy.
        var checks: [(statistic: Int, stage: Int?)] = []
        /// Stations that can be prepared after this sweep.
        var prepares: [Int] = []
        /// Passes over whole tensors that can be made when this sweep can.
        var passes: [Int] = []
    }

    /// The part of a chain between two boundaries: its start, an accumulation, its end.
    struct Segment: Sendable {
        /// The stations in front of the optimizers.
        let transforms: Range<Int>
        /// Whether it is the part behind an accumulation, or the whole chain, and what is behind optimizers with it.
        let isWindow: Bool
        /// Stations that can be prepared before anything is measured.
        var prepares: [Int] = []
        var measuring: [Measuring] = []
        /// What the last sweep does to a block, without the segment's end (accumulate, update or store), up to the optimizers.
        var final: [Operation] = []
        /// Whether a sweep over all gradients measures something.
        var isMeasured: Bool { measuring.contains { !$0.statistics.isEmpty } }
    }

    var statistics: [Statistic] = []
    /// Those that are measured on the way to what lasts, because nothing before that depends on them.
    var late: [Int] = []
    /// Consecutive scaling transforms, folded into one factor a parameter.
    var runs: [Range<Int>] = []
    /// For each station, the statistics that are what it requires and observes.
    var sources: [[Int]]
    /// The statistics of the parameters' change and of the parameters, where the report is to hold their ratio.
    var change: (update: Int, parameter: Int)?
    /// What the last sweep does, in front of optimizers and behind them, without its end.
    var last: [Operation] = []
    /// What ends the last sweep over the gradients.
    var end: [Operation] = []
    /// The passes over whole tensors behind which something is measured.
    var passes: [Pass] = []
    /// The stations behind which nothing is measured, and which are handed whole tensors in the last sweep.
    var wholeInLastSweep: [Int] = []
    /// What happens to each micro-batch; nil without an accumulation.
    var microBatch: Segment?
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
    /// Whether what is computed of the rows of the gradients in memory is worth keeping from one sweep to the next: a stage
    /// that works on elements, which alone can ask for means or clip rows, is measured behind.
    var keepsRows: Bool {
        [microBatch, window].contains { segment in
            segment?.measuring.contains { $0.operations.contains(where: \.isTransform) } ?? false
        }
    }

    /// The first L2 norm of the window that is measured, if one is.
    var inputNorm: Int? {
        window.measuring.first?.statistics.lazy
            .filter { statistics[$0].what == .norm(.l2) && statistics[$0].branch == nil }
            .min { statistics[$0].position < statistics[$1].position }
    }

    /// The number of sweeps over the gradients in a step that is applied, for a micro-batch that closes its window.
    var sweepCount: Int {
        ((microBatch?.measuring ?? []) + window.measuring).reduce(1) {
            $0 + ($1.statistics.isEmpty ? 0 : 1) + $1.passes.count
        }
    }
}
