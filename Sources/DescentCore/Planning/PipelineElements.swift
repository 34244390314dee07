/// What a pipeline consists of: the chain in front of the optimizers, and each optimizer with what is behind it.
struct PipelineElements {
    /// The chain in front of the optimizers.
    let chain: ChainElements
    /// The optimizers, each with what is behind it; none for a chain alone.
    let branches: [BranchElements]

    /// Sorts what a pipeline is made of.
    ///
    /// - Throws: ``DescentError`` with code `stageOrder` for stages in the wrong order.
    init(_ stages: [any Stage], _ branches: [OptimizerBranch]) throws(DescentError) {
        chain = try ChainElements(stages)
        var sorted: [BranchElements] = []
        for branch in branches { sorted.append(try BranchElements(branch)) }
        self.branches = sorted
        guard let window = chain.window else { return }
        let early = chain.transforms.prefix(window.transformsBefore).first { $0.reach.isWholeTensors }
        guard let early else { return }
        throw DescentError(
            .stageOrder, stage: early.name,
            "\(early.name) works on whole tensors, and stands before \(stages[window.position].name), where gradients arrive in "
                + "parts. Put it behind.")
    }

    /// How many transforms stand in front of the optimizers.
    var trunkCount: Int { chain.transforms.count }

    /// The names of all components, in the order in which their state is saved: the stages, then each optimizer and the
    /// stages behind it.
    var componentNames: [String] {
        chain.stages.map(\.name) + branches.flatMap { [$0.branch.optimizer.name] + $0.branch.stages.map(\.name) }
    }

    /// The stages, then the optimizers with the stages behind them: "Centralize → (SGD | AdamW → TrustRatio)".
    ///
    /// - Parameter optimizerNames: What the optimizers are called.
    /// - Returns: All of them in a line.
    func flow(_ optimizerNames: [String]) -> String {
        let trunk = chain.stages.map(\.name).joined(separator: " → ")
        let ends = zip(optimizerNames, branches).map { name, branch in
            ([name] + branch.branch.stages.map(\.name)).joined(separator: " → ")
        }
        let end = ends.isEmpty ? "gradients out" : ends.count == 1 ? ends[0] : "(\(ends.joined(separator: " | ")))"
        return trunk.isEmpty ? end : "\(trunk) → \(end)"
    }

    /// The position of a branch's optimizer among all components; its stages follow.
    func componentPosition(ofBranch branch: Int) -> Int {
        branches.prefix(branch).reduce(chain.stages.count) { $0 + 1 + $1.branch.stages.count }
    }

    /// Where the transforms behind an optimizer begin among all.
    func firstTransform(ofBranch branch: Int) -> Int {
        branches.prefix(branch).reduce(trunkCount) { $0 + $1.transforms.count }
    }

    /// Where the stations of a branch are: its optimizer, then the transforms behind it.
    func stations(ofBranch branch: Int) -> Range<Int> {
        let first = branches.prefix(branch).reduce(trunkCount) { $0 + 1 + $1.transforms.count }
        return first..<first + 1 + branches[branch].transforms.count
    }
}

/// What stands on the way from gradients to updates, as far as a plan depends on it: a transform or an optimizer.
///
/// Stations are counted through: the transforms in front of the optimizers, then each optimizer and the transforms behind
/// it.
@usableFromInline struct Station: Sendable {
    /// What it is.
    @usableFromInline enum Kind: Sendable, Equatable {
        /// A transform, by its position among all of them.
        case transform(Int)
        /// The optimizer of a branch.
        case optimizer(Int)
    }

    /// What it is, and the branch that it belongs to; for the innermost loop, which is not to count references.
    @usableFromInline struct Place: Sendable {
        @usableFromInline let kind: Kind
        /// Nil in front of the optimizers.
        @usableFromInline let branch: Int?
    }

    let kind: Kind
    let name: String
    let requirements: [Requirement]
    let observations: [Requirement]
    let effect: StageEffect
    let repairsNonFinite: Bool
    let canFail: Bool
    /// Whether it keeps slots between steps.
    let hasSlots: Bool
    let reach: StageReach
    /// Whether its work on whole tensors can be done before the last sweep: not that of an optimizer without a direction.
    let canBePassed: Bool
    /// The branch that it belongs to; nil in front of the optimizers.
    let branch: Int?

    /// Describes a transform.
    init(_ transform: some GradientTransform, at position: Int, of branch: Int?) {
        kind = .transform(position)
        name = transform.name
        requirements = transform.requirements
        observations = transform.observations
        effect = transform.effect
        repairsNonFinite = transform.repairsNonFinite
        canFail = transform.canFail
        hasSlots = !transform.slots.isEmpty
        reach = transform.reach
        canBePassed = true
        self.branch = branch
    }

    /// Describes the optimizer of a branch.
    init(_ optimizer: some Optimizer, of branch: Int) {
        kind = .optimizer(branch)
        name = optimizer.name
        requirements = optimizer.requirements
        observations = []
        effect = .arbitrary
        repairsNonFinite = false
        canFail = !optimizer.requirements.isEmpty
        hasSlots = !optimizer.slots.isEmpty
        reach = optimizer.reach
        canBePassed = optimizer.hasDirection
        self.branch = branch
    }

    var place: Place { Place(kind: kind, branch: branch) }

    /// Whether it has to be handed the parameters.
    var readsParameters: Bool {
        if case .optimizer = kind { return true }
        return requirements.contains(where: \.readsParameters)
    }

    /// Whether it has to be handed the gradient that the optimizer before it saw.
    var readsGradient: Bool { requirements.contains(.gradient) }
}
