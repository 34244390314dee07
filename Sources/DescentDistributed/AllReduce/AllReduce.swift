public import DescentCore

/// Combines the gradients of all ranks into one, the same on each, bit for bit.
///
/// It stands behind an accumulation, or first, and before `Unscale`: loss scales have to be the same on all ranks, and
/// stay so by themselves, since every rank sees the same combined gradients and skips the same steps.
///
///     mean:      sum over ranks of g_r            / number of ranks
///     sum:       sum over ranks of g_r
///     weighted:  sum over ranks of weight_r * g_r / sum of weights
///
/// The window of rank r is g_r, and weight_r the sum of the weights that its micro-batches were handed over with. With
/// token counts as weights, `weighted` gives the mean over all tokens, however unevenly they are spread over ranks; a
/// rank whose window holds nothing then counts for nothing, while with the others it has all ranks skip the step.
///
/// Gradients move in buckets, from the last parameter to the first. Each rank sums one part of every bucket, in the
/// order of ranks and in float32, so that the bits depend on the number of ranks and on nothing else. Gradients handed
/// over in 16 bits move to the summing rank as they are; sums move in float32, unless ``movingType`` says that both move
/// in 16 bits. With gradients received one by one, buckets move while others are still being made.
///
/// A step that any rank has a reason to skip (a window spoiled by a micro-batch that is not finite) is skipped by all, for the
/// reason of the first rank that does. A step that one rank throws in is an error on all, which names the rank, before
/// anything has changed on any; it can be tried again. With one rank the stage does nothing, and costs nothing.
///
/// Building a pipeline with this stage concerns all ranks, and so does each step that closes a window, in which ranks also
/// make sure that settings and parameters are still the same. A copy of a pipeline shares its buffers: use one of them at
/// a time, and not while gradients arrive one by one.
public struct AllReduce: GradientExchange {
    /// What the sum over ranks is divided by.
    public enum Reduction: String, Sendable, Hashable, Codable {
        /// By the number of ranks.
        case mean
        /// By 1.
        case sum
        /// By the sum of weights, each rank's gradients having been multiplied by its own.
        case weighted
    }

    /// What the ranks have to agree on.
    struct Settings {
        let reduction: Reduction
        /// Nil where ranks choose it by what they measure.
        let bucketLength: Int?
        let movingAs: ElementType?

        /// Each of them in words.
        var descriptions: [String] {
            [
                "reduction = \(reduction)", "bucketLength = \(bucketLength.map(String.init) ?? "measured")",
                "movingAs = \(movingAs?.rawValue ?? "nil")",
            ]
        }

        /// Refuses settings out of range.
        func requireValid(for name: String) throws(DescentError) {
            // A communicator is not asked for larger transfers.
            if let bucketLength {
                try DescentError.require(
                    (1...1 << 28).contains(bucketLength), name,
                    "bucketLength is \(bucketLength); it has to lie between 1 and \(1 << 28).")
            }
            try DescentError.require(
                movingAs.map { !$0.isCoded } ?? true, name,
                "gradients cannot move as \(movingAs?.rawValue ?? ""); use float32, float16 or bfloat16.")
        }
    }

    /// The ranks.
    public let group: ProcessGroup
    /// What the sum over ranks is divided by.
    public var reduction: Reduction { settings.reduction }
    /// How many elements move together; nil before a pipeline is built whose ranks choose it by what they measure.
    public var bucketLength: Int? { exchange?.bucketLength ?? settings.bucketLength }
    /// How gradients and sums move; nil where gradients move as they are and sums in float32.
    public var movingType: ElementType? { settings.movingAs }
    private let settings: Settings
    private var exchange: WindowExchange?
    /// For each parameter, the rank that works on the whole tensor where a stage needs that.
    private var workers: [Int] = []

    /// Combines the gradients of all ranks.
    ///
    /// - Parameters:
    ///   - group: The ranks.
    ///   - reduction: What the sum over ranks is divided by.
    ///   - bucketLength: How many elements move together, at least 1. With nil, buckets are as long as the
    ///     link asks for, from 65,536 to 4,194,304 elements. The first pipeline of a group that has a million elements or
    ///     more times some transfers for that, for less than a tenth of a second or some twenty messages:
    ///     ``ProcessGroup/linkSpeed``. Results do not depend on it.
    ///   - movingType: The type that gradients are rounded to before they move, and their sums, once, before they move
    ///     back; with 16 bits that is half the bytes of float32. A sum that leaves the range of `float16` is infinite,
    ///     and skips the step. With nil, gradients move as they are and sums in float32.
    public init(
        over group: ProcessGroup, reduction: Reduction = .mean, bucketLength: Int? = nil,
        movingAs movingType: ElementType? = nil
    ) {
        self.group = group
        settings = Settings(reduction: reduction, bucketLength: bucketLength, movingAs: movingType)
    }

    public var name: String {
        let buckets = bucketLength.map { ", bucketLength: \($0)" } ?? ""
        return "AllReduce(\(reduction), ranks: \(group.rankCount)\(buckets))"
    }
    public var order: StageOrder { StageOrder(expects: [.window, .local], leaves: [.reduced]) }
    public var exchanged: ExchangedValues { group.rankCount > 1 ? .gradients : [] }
    public var process: ProcessRank? {
        group.rankCount > 1 ? ProcessRank(group.rank, of: group.rankCount) : nil
    }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try settings.requireValid(for: name)
        workers = Self.workers(for: layout, of: group.rankCount)
    }

    /// Deals out matrices, the largest first, each to the rank that has least to do.
    ///
    /// What work on a matrix costs grows with its number of elements times its shorter side.
    private static func workers(for layout: ParameterLayout, of rankCount: Int) -> [Int] {
        let costs = layout.map { Double($0.count) * Double(min($0.rowCount, $0.columnCount)) }
        var workers = layout.map { _ in 0 }
        var loads = [Double](repeating: 0, count: rankCount)
        for parameter in layout.indices.sorted(by: { (costs[$1], $0) < (costs[$0], $1) }) {
            let rank = loads.indices.min { loads[$0] < loads[$1] } ?? 0
            workers[parameter] = rank
            loads[rank] += costs[parameter]
        }
        return workers
    }

    // MARK: GradientExchange

    public mutating func connect(
        _ parameters: [Int], of layout: ParameterLayout, as setup: PipelineSetup
    ) throws(DescentError) {
        exchange = try WindowExchange(
            of: parameters, in: layout, as: setup, over: group, settings, following: exchange)
    }

    public mutating func begin(_ contribution: Contribution) throws(DescentError) {
        try connectedExchange.begin(contribution)
    }

    public mutating func contribute(_ gradients: some TensorStorage, of parameter: Int) throws(DescentError) {
        try connectedExchange.contribute(gradients, of: parameter)
    }

    public mutating func compare(_ parameters: some TensorStorage) throws(DescentError) {
        try connectedExchange.compare(parameters)
    }

    public mutating func abandon(_ error: DescentError) { exchange?.abandon(error) }

    // MARK: Whole tensors, of which each rank works on some for all

    public var dividesWholeTensors: Bool { group.rankCount > 1 }

    public func computes(_ parameter: Int) -> Bool { workers[parameter] == group.rank }

    public mutating func share(_ tensors: inout some TensorStorage, of parameters: [Int]) throws(DescentError) {
        try connectedExchange.share(&tensors, of: parameters, from: workers)
    }

    public mutating func collect(into gradients: inout some TensorStorage) throws(DescentError) -> SkipReason? {
        try connectedExchange.collect(into: &gradients)
    }

    public mutating func settle(_ decision: StepDecision) throws(DescentError) {
        try connectedExchange.settle(decision)
    }

    private var connectedExchange: WindowExchange {
        guard let exchange else { stopForMisuse("\(name) exchanges gradients before it is part of a pipeline.") }
        return exchange
    }
}
