public import DescentCore
import DescentTransforms

/// A pipeline whose optimizer state is spread over ranks: each keeps, and updates, the part that belongs to its rows.
///
/// All ranks hold all parameters, and make gradients for all of them. A step sums each row's gradient on the rank that
/// holds the row, updates the row there, and gives it to all. What the chain and the optimizer keep between steps
/// (accumulated gradients, moments) takes a share of the memory that shrinks with the number of ranks; this is the
/// first stage of ZeRO (Rajbhandari et al., 2020, arXiv:1910.02054), and the second where micro-batches are accumulated.
///
/// Norms are those of whole parameters, combined over ranks in their order: clipping does what it does in one process,
/// but for the last bits. Stages that work on rows find whole rows. The parameters have the same bits on all ranks.
/// Every micro-batch moves between ranks, accumulated or not.
///
/// Building it concerns all ranks, and so does every step. ``state`` is that of this rank's rows. Stages that make
/// random numbers for each element (`AddNoise`) would make the same ones on all ranks, and an adaptive loss scale would
/// compare the counts of all ranks with this rank's number of elements: neither is accepted.
public struct ShardedPipeline<Backend: TensorBackend>: Sendable {
    private var pipeline: GradientPipeline<Backend>
    private var parameters: Backend.Tensors
    private var gradients: Backend.Tensors
    private let exchange: ShardExchange
    /// The parameters that the pipeline was built for.
    public let layout: ParameterLayout

    /// Builds a pipeline for parameters, together with the other ranks.
    ///
    /// - Parameters:
    ///   - parameters: The parameters to train, in float32; only their names and shapes are kept.
    ///   - group: The ranks.
    ///   - reduction: What the sum of the ranks' gradients is divided by; see ``AllReduce``.
    ///   - bucketLength: How many elements move together, at least 1.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizers: What ends the chain.
    /// - Throws: `DescentError` for settings out of range, for stages in the wrong order, and
    ///   with code `processMismatch` if the ranks do not agree.
    public init(
        for parameters: Backend.Tensors, over group: ProcessGroup, reduction: AllReduce.Reduction = .mean,
        bucketLength: Int = AllReduce.defaultBucketLength,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: Backend,
        @ChainBuilder _ stages: () -> [any Stage] = { [] },
        @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        try self.init(
            nil, .sameStages, parameters, group, reduction, bucketLength, configuration, backend, stages(),
            optimizers())
    }

    /// Builds a pipeline that goes on where another one was, on as many ranks, with the same bits.
    ///
    /// - Parameters:
    ///   - state: What this rank's pipeline remembered; see ``state``.
    ///   - policy: How strictly the pipeline has to be the one that was saved.
    ///   - parameters: The parameters to train, in float32; only their names and shapes are kept.
    ///   - group: The ranks.
    ///   - reduction: What the sum of the ranks' gradients is divided by; see ``AllReduce``.
    ///   - bucketLength: How many elements move together, at least 1.
    ///   - configuration: How the pipeline runs, whatever its stages.
    ///   - backend: Who does the arithmetic.
    ///   - stages: The chain, in the order in which gradients flow.
    ///   - optimizers: What ends the chain.
    /// - Throws: `DescentError` with code `stateMismatch` if the chain is another one, errors that name a
    ///   parameter if the state is that of other rows, and what building the pipeline throws.
    public init(
        resuming state: PipelineState<Backend.Tensors>, _ policy: ResumptionPolicy = .sameStages,
        for parameters: Backend.Tensors, over group: ProcessGroup, reduction: AllReduce.Reduction = .mean,
        bucketLength: Int = AllReduce.defaultBucketLength,
        configuration: PipelineConfiguration = PipelineConfiguration(), on backend: Backend,
        @ChainBuilder _ stages: () -> [any Stage] = { [] },
        @DrivingBuilder driving optimizers: () -> [OptimizerBranch]
    ) throws(DescentError) {
        try self.init(
            state, policy, parameters, group, reduction, bucketLength, configuration, backend, stages(),
            optimizers())
    }

    private init(
        _ state: PipelineState<Backend.Tensors>?, _ policy: ResumptionPolicy, _ parameters: Backend.Tensors,
        _ group: ProcessGroup, _ reduction: AllReduce.Reduction, _ bucketLength: Int,
        _ configuration: PipelineConfiguration, _ backend: Backend, _ stages: [any Stage],
        _ branches: [OptimizerBranch]
    ) throws(DescentError) {
        try DescentError.require(
            (1...1 << 28).contains(bucketLength), "ShardedPipeline",
            "bucketLength is \(bucketLength); it has to lie between 1 and \(1 << 28).")
        for stage in stages + branches.flatMap(\.stages) { try Self.requireShardable(stage) }
        layout = parameters.layout
        let setup = PipelineSetup(stages: stages, branches: branches, configuration: configuration)
        let exchange = try ShardExchange(
            of: layout, as: setup, over: group, reduction: reduction, bucketLength: bucketLength)
        self.exchange = exchange
        let shard = try exchange.plan.layout(of: group.rank, from: layout)
        self.parameters = backend.makeTensors(shard, .float32)
        gradients = backend.makeTensors(shard, .float32)
        let chain: [any Stage] = [Shards(exchange)] + stages
        if let state {
            pipeline = try GradientPipeline(
                resuming: state, policy, for: self.parameters, configuration: configuration, on: backend,
                { chain },
                driving: { branches })
        } else {
            pipeline = try GradientPipeline(
                for: self.parameters, configuration: configuration, on: backend, { chain },
                driving: { branches })
        }
    }

    /// Refuses what does not do in shards what it does in one process.
    private static func requireShardable(_ stage: any Stage) throws(DescentError) {
        if holds(stage, { $0 is AddNoise }) {
            throw DescentError(
                .invalidSetting, stage: stage.name,
                "\(stage.name) would add the same noise to the rows of every rank: a ShardedPipeline cannot hold it. Use "
                    + "AllReduce, whose pipelines hold all rows.")
        }
        if holds(stage, { ($0 as? Unscale)?.settings.adaptation != nil }) {
            throw DescentError(
                .invalidSetting, stage: stage.name,
                "\(stage.name) has an adaptive loss scale, which would compare counts of all ranks with one rank's number of "
                    + "elements: a ShardedPipeline cannot hold it. Use a dynamic one.")
        }
    }

    /// Whether a stage, or one that it wraps, is of a kind.
    private static func holds(_ stage: Any, _ isOfKind: (Any) -> Bool) -> Bool {
        isOfKind(stage)
            || Mirror(reflecting: stage).children.contains {
                $0.value is any Stage && holds($0.value, isOfKind)
            }
    }

    /// What to multiply the loss by before taking gradients.
    public var lossScale: Float { pipeline.lossScale }
    /// How many steps have been applied.
    public var appliedSteps: Int { pipeline.appliedSteps }
    /// How many steps have been skipped.
    public var skippedSteps: Int { pipeline.skippedSteps }

    /// What this rank remembers between steps: counters, stages, and the buffers of its rows.
    ///
    /// - Throws: `DescentError`, as the pipeline's own state does.
    public var state: PipelineState<Backend.Tensors> {
        get throws(DescentError) { try pipeline.state }
    }

    /// Takes in this rank's gradients of one micro-batch and, if that closes the window, updates the parameters.
    ///
    /// - Parameters:
    ///   - parameters: The parameters, which have to be the same on all ranks; nothing but an applied step changes them.
    ///   - gradients: The gradients of the loss times ``lossScale``.
    ///   - weight: The weight of this rank's micro-batch, such as its number of tokens.
    ///   - lossScale: What the loss was multiplied by, to have it checked.
    ///   - closingWindow: Whether this is the last micro-batch of a window that ends early, on all ranks.
    /// - Returns: Whether the step was accumulated, applied or skipped; the same on all ranks.
    /// - Throws: `DescentError` if names or shapes do not match, before anything has changed, or if ranks
    ///   have lost step with each other; also when a loss scale is exhausted.
    public mutating func step(
        _ parameters: inout Backend.Tensors, gradients: Backend.Tensors, weight: Double = 1, lossScale: Float? = nil,
        closingWindow: Bool = false
    ) throws(DescentError) -> StepOutcome {
        do throws(DescentError) { try validate(parameters, gradients, weight, lossScale) } catch {
            exchange.abandon(error)
            throw error
        }
        let agreed = try exchange.agree(weight: weight, gradients.elementType)
        try exchange.compare(parameters)
        try exchange.reduce(gradients, into: &self.gradients, agreed.factors)
        try exchange.takeShard(of: parameters, into: &self.parameters)
        let outcome = try pipeline.step(
            &self.parameters, gradients: self.gradients, weight: agreed.weight, lossScale: lossScale,
            closingWindow: closingWindow)
        try exchange.requireGathered()
        if outcome.isApplied { try exchange.gather(self.parameters, into: &parameters) }
        return outcome
    }

    /// Refuses arguments before the other ranks are told of them.
    private func validate(
        _ parameters: Backend.Tensors, _ gradients: Backend.Tensors, _ weight: Double, _ lossScale: Float?
    ) throws(DescentError) {
        try layout.requireMatch(of: parameters.layout, as: "parameters")
        try layout.requireMatch(of: gradients.layout, as: "gradients")
        guard parameters.elementType == .float32 else {
            throw DescentError(.elementTypeMismatch, "The parameters are \(parameters.elementType), not float32.")
        }
        guard weight.isFinite, weight >= 0 else {
            throw DescentError(
                .invalidWeight, "The micro-batch's weight is \(weight); it has to be a finite number of at least 0.")
        }
        if let lossScale, lossScale != self.lossScale {
            throw DescentError(
                .lossScaleMismatch,
                "These gradients were made with a loss scale of \(lossScale); multiply the loss by the pipeline's lossScale, "
                    + "which is \(self.lossScale).")
        }
    }
}

/// The stage that stands for the other ranks in each rank's pipeline.
private struct Shards: GradientExchange {
    let exchange: ShardExchange

    init(_ exchange: ShardExchange) { self.exchange = exchange }

    var name: String { "Shards(ranks: \(exchange.group.rankCount))" }
    var exchanged: ExchangedValues { .statistics }

    func gather(_ values: [Double]) -> [[Double]] { exchange.gather(values) }

    func isDivided(_ parameter: Int) -> Bool { exchange.plan.isDivided(parameter) }

    func abandon(_ error: DescentError) { exchange.abandon(error) }

    func settle(_ decision: StepDecision) throws(DescentError) { try exchange.settle(decision) }
}
