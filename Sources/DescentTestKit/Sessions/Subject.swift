import DescentCore

/// What is verified: a transform or an optimizer, with what a pipeline around it needs.
struct Subject: Sendable {
    /// The transform; nil for an optimizer.
    let transform: (any GradientTransform)?
    /// The optimizer, with what stands behind it; nil where the subject is a transform.
    var driving: (any Driving)?
    let declarations: Declarations
    let parameterNames: [String]
    /// A backend that it is run over besides the default one; nil for none.
    var backend: (any TensorBackend)?

    init(_ transform: any GradientTransform, _ declarations: Declarations, parameterNames: [String]) {
        self.init(transform, nil, declarations, parameterNames)
    }

    init(_ optimizer: any Driving, _ declarations: Declarations, parameterNames: [String]) {
        self.init(nil, optimizer, declarations, parameterNames)
    }

    private init(
        _ transform: (any GradientTransform)?, _ driving: (any Driving)?, _ declarations: Declarations,
        _ parameterNames: [String]
    ) {
        self.transform = transform
        self.driving = driving
        self.declarations = declarations
        self.parameterNames = parameterNames
    }

    /// The first of the optimizers.
    var optimizer: (any Optimizer)? { driving?.branches.first?.optimizer }

    var name: String { transform?.name ?? optimizer?.name ?? "" }

    /// Whether a stage or the optimizer works with sums over blocks, whose last bits depend on how blocks are cut.
    ///
    /// - Throws: What the transform throws as it is configured.
    func usesSums(for layout: ParameterLayout) throws -> Bool {
        guard var transform else { return driving?.branches.contains(where: usesSums) ?? false }
        try transform.configure(for: layout)
        return (transform.requirements + transform.observations).contains(where: isSum)
    }

    private func usesSums(_ branch: OptimizerBranch) -> Bool {
        branch.optimizer.requirements.contains(where: isSum)
            || branch.stages.contains { stage in
                guard case .transform(let transform) = stage.element else { return false }
                return (transform.requirements + transform.observations).contains(where: isSum)
            }
    }

    private func isSum(_ requirement: Requirement) -> Bool {
        switch requirement {
        case .norm, .parameterNorm, .dotProduct, .measured: true
        case .finite, .nonFiniteCount, .count, .parameters, .gradient: false
        }
    }

    /// Whether the subject is a transform that stands behind an optimizer alone.
    var needsUpdates: Bool {
        guard let transform else { return false }
        return transform.order.expects.contains(.update) || transform.requirements.contains(.gradient)
    }

    /// Whether something is kept in bfloat16, which is rounded at random.
    var roundsAtRandom: Bool {
        let branches = driving?.branches ?? []
        let behind = branches.flatMap(\.stages).flatMap { stage in
            switch stage.element {
            case .transform(let transform): transform.slots
            case .follower(let follower): follower.slots
            case .window, .exchange, .freeze: [Slot]()
            }
        }
        return ((transform?.slots ?? []) + branches.flatMap(\.optimizer.slots) + behind).contains {
            $0.elementType == .bfloat16
        }
    }

    /// A case of some shapes, with tensors of the names that the author gave.
    func example(_ shapes: [[Int]], steps: Int = 4, numbers: Numbers = .normal) -> Case {
        Case(shapes, names: parameterNames, steps: steps, numbers: numbers)
    }

    /// A mixture of shapes that are cut into many blocks.
    var mixture: Case { example([[12, 5], [12], [5, 4, 3], [1, 90], [], [0, 3], [7]]) }
}

extension Subject {
    /// Puts the subject in a pipeline.
    ///
    /// - Parameters:
    ///   - log: Where what the subject does is noted; nil puts in the transform as it is.
    ///   - earlier: Stages before the subject.
    ///   - later: Stages behind it.
    /// - Returns: The stages, in an order that is right, and the optimizer.
    func parts(
        log: ProbeLog?, earlier: [any Stage] = [], later: [any Stage] = []
    ) -> PipelineParts {
        guard let transform else {
            return PipelineParts(stages: earlier + later, optimizer: driving ?? Recorder())
        }
        let subject = log.map { Self.probe(transform, $0) } ?? transform
        let order = transform.order
        if needsUpdates {
            return PipelineParts(
                stages: [],
                optimizer: Forwarder().then {
                    earlier; subject; later; UpdateRecorder()
                })
        }
        var (before, after): ([any Stage], [any Stage]) = ([], [])
        let questions: [(GradientCondition, GradientCondition)] = [
            (.scaled, .unscaled), (.microBatch, .window), (.local, .reduced),
        ]
        for (early, late) in questions where !order.leaves.contains(late) {
            if order.expects.contains(late), order.leaves.contains(early) { before.append(Turn(early, late)) }
            if order.expects.contains(early) || order.leaves.contains(early) { after.append(Turn(early, late)) }
        }
        return PipelineParts(stages: earlier + before + [subject] + after + later, optimizer: Recorder())
    }

    private static func probe<Transform: GradientTransform>(
        _ transform: Transform, _ log: ProbeLog
    ) -> any GradientTransform {
        Probe(transform, log: log)
    }
}
