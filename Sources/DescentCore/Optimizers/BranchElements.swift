/// An optimizer and the stages behind it, sorted by what they are.
struct BranchElements {
    /// The branch as it was handed over.
    let branch: OptimizerBranch
    /// The transforms of updates, and where among the branch's stages each stands.
    private(set) var transforms: [(value: any GradientTransform, position: Int)] = []
    /// What follows the parameters as they move, and where among the branch's stages each stands.
    private(set) var followers: [(value: any ParameterFollower, position: Int)] = []

    /// Sorts the stages of a branch.
    ///
    /// - Throws: ``DescentError`` with code `stageOrder` for stages that cannot stand there.
    init(_ branch: OptimizerBranch) throws(DescentError) {
        try StageOrder.check(branch.stages, behind: branch.optimizer)
        self.branch = branch
        for (position, stage) in branch.stages.enumerated() {
            switch stage.element {
            case .transform(let transform): transforms.append((transform, position))
            case .follower(let follower): followers.append((follower, position))
            case .window, .exchange, .freeze: break
            }
        }
    }

    /// Whether the optimizer updates parameters by itself, because nothing acts on its direction.
    var isFused: Bool { transforms.isEmpty }
}

extension StageOrder {
    /// Refuses what cannot stand behind an optimizer.
    ///
    /// - Throws: ``DescentError`` with code `stageOrder` that names the stage and the optimizer.
    static func check(_ stages: [any Stage], behind optimizer: any Optimizer) throws(DescentError) {
        for stage in stages {
            let reason: String? =
                switch stage.element {
                case .transform(let transform):
                    transform.lossScale != 1 || !stage.order.leaves.isEmpty
                        ? "undoes what was done to gradients, not to updates"
                        : stage.order.expects.contains(.gradient) ? "works on gradients, not on updates" : nil
                case .window: "gathers gradients, of which the optimizer needs the sum"
                case .exchange: "exchanges gradients, which the optimizer has made an update of by then"
                case .freeze: "takes parameters out of the whole pipeline"
                case .follower: nil
                }
            guard let reason else { continue }
            throw DescentError(
                .stageOrder, stage: stage.name,
                "\(stage.name) stands behind \(optimizer.name), but it \(reason). Put it in front of the optimizer, among the "
                    + "pipeline's stages.")
        }
        guard !optimizer.hasDirection else { return try checkFollowers(stages) }
        let transform = stages.first { if case .transform = $0.element { true } else { false } }
        guard let transform else { return }
        throw DescentError(
            .stageOrder, stage: transform.name,
            "\(optimizer.name) moves parameters in a way of its own, not along a direction that \(transform.name) could act on. "
                + "Take \(transform.name) away, or put it in front of an optimizer that is a DirectionalOptimizer.")
    }

    /// Refuses a transform of updates behind something that follows the parameters once they have moved.
    private static func checkFollowers(_ stages: [any Stage]) throws(DescentError) {
        var follower: String?
        for stage in stages {
            switch stage.element {
            case .follower: follower = follower ?? stage.name
            case .transform, .window, .exchange, .freeze:
                guard let follower else { continue }
                throw DescentError(
                    .stageOrder, stage: stage.name,
                    "\(stage.name) acts on updates, but stands behind \(follower), which follows the parameters once they have "
                        + "moved. The order that is right: \(stage.name), \(follower).")
            }
        }
    }
}
