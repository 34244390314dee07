public import DescentCore

extension Sharding {
    /// Spreads the state of a pipeline over ranks: each keeps, and updates, the part that belongs to its rows.
    ///
    /// ```swift
    /// var configuration = PipelineConfiguration()
    /// configuration.sharding = .optimizerState(over: world)
    /// var optimizer = try Pipeline(for: parameters, configuration: configuration) {
    ///     ClipByGlobalNorm(1)
    /// } driving: {
    ///     AdamW()
    /// }
    /// ```
    /// All ranks hold all parameters, and make gradients for all of them. Each micro-batch, a rank is given the sums of its
    /// rows, in the order of ranks and in float32; an applied step updates the rows there, and gives them to all. What the
    /// chain and the optimizer keep between steps (accumulated gradients, moments, averages, masters) takes a share of the
    /// memory that shrinks with the number of ranks. This is the first stage of ZeRO (Rajbhandari et al., 2020,
    /// arXiv:1910.02054), and the second where micro-batches are accumulated.
    ///
    /// Norms are those of whole parameters, combined over ranks in their order: clipping does what it does in one process,
    /// but for the last bits. Stages that work on rows find whole rows, and parameters that a stage needs whole stay in one
    /// place. Noise, rounding at random and counts are those of the whole parameters. The parameters have the same bits on all
    /// ranks. All ranks have to build the same pipeline, and step it equally often, as with ``AllReduce``; a checkpoint is
    /// written by all of them together.
    ///
    /// Gradients have to be there for every parameter, and a chain has no stage besides that exchanges them.
    ///
    /// - Parameters:
    ///   - group: The ranks.
    ///   - reduction: What the sum of the ranks' gradients is divided by; see ``AllReduce``.
    ///   - bucketLength: How many elements move together; see ``AllReduce``.
    ///   - movingType: The type that gradients are rounded to before they move; with nil they move as they are. Parameters
    ///     move as they are stored.
    /// - Returns: What a configuration's `sharding` is.
    public static func optimizerState(
        over group: ProcessGroup, reduction: AllReduce.Reduction = .mean, bucketLength: Int? = nil,
        movingAs movingType: ElementType? = nil
    ) -> Sharding {
        let settings = AllReduce.Settings(reduction: reduction, bucketLength: bucketLength, movingAs: movingType)
        return Sharding(
            over: RowSharding(group: group, settings: settings), through: group,
            settings: settings.descriptions.joined(separator: ", "))
    }
}

/// What stands for the other ranks in a pipeline that works on some of the rows.
struct RowSharding: GradientExchange {
    let group: ProcessGroup
    let settings: AllReduce.Settings
    private var exchange: WindowExchange?

    init(group: ProcessGroup, settings: AllReduce.Settings) { (self.group, self.settings) = (group, settings) }

    var name: String { "Sharding(\(settings.reduction), ranks: \(group.rankCount))" }
    var exchanged: ExchangedValues { group.rankCount > 1 ? .rows : [] }

    mutating func configure(for layout: ParameterLayout) throws(DescentError) { try settings.requireValid(for: name) }

    func division(of layout: ParameterLayout, keepingWhole isWhole: [Bool]) -> RowDivision {
        RowDivision(of: layout, among: group.rankCount, rank: group.rank, keepingWhole: isWhole)
    }

    mutating func connect(
        _ parameters: [Int], dividedBy division: RowDivision?, of layout: ParameterLayout, as setup: PipelineSetup
    ) throws(DescentError) {
        exchange = try WindowExchange(
            of: parameters, in: layout, as: setup, over: group, settings, dividing: division, following: exchange)
    }

    mutating func begin(_ contribution: Contribution) throws(DescentError) {
        try connectedExchange.begin(contribution)
    }

    mutating func contribute(_ gradients: some TensorStorage, of parameter: Int) throws(DescentError) {
        try connectedExchange.contribute(gradients, of: parameter)
    }

    mutating func compare(_ parameters: some TensorStorage) throws(DescentError) {
        try connectedExchange.compare(parameters)
    }

    mutating func collect(into gradients: inout some TensorStorage) throws(DescentError) -> SkipReason? {
        try connectedExchange.collect(into: &gradients)
    }

    var collectedWeight: Double { connectedExchange.weight }

    mutating func settle(_ decision: StepDecision) throws(DescentError) { try connectedExchange.settle(decision) }

    mutating func abandon(_ error: DescentError) { exchange?.abandon(error) }

    func gather(_ values: [Double]) -> [[Double]] { connectedExchange.gather(values) }

    func requireGathered() throws(DescentError) { try connectedExchange.requireGathered() }

    mutating func gatherRows(of tensors: inout some TensorStorage) throws(DescentError) {
        try connectedExchange.gatherRows(of: &tensors)
    }

    private var connectedExchange: WindowExchange {
        guard let exchange else { stopForMisuse("\(name) exchanges gradients before it is part of a pipeline.") }
        return exchange
    }
}
