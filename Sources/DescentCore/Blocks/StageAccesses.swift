/// What each stage of a pipeline, and its optimizer, may use of a block.
struct StageAccesses: Sendable {
    /// Whom the accesses name; kept here, because they do not keep them.
    private let owners: [StageAtWork]
    /// For each stage, then for the optimizer.
    private let accesses: [SlotAccess]

    init(_ stages: [any GradientTransform], _ optimizer: (any Optimizer)?) {
        let owners = (stages.map(\.name) + [optimizer?.name ?? "The optimizer"]).map { StageAtWork($0) }
        var accesses: [SlotAccess] = []
        var first = 0
        func add(_ count: Int, readsParameters: Bool) {
            accesses.append(
                SlotAccess(first: first, count: count, readsParameters: readsParameters, of: owners[accesses.count]))
            first += count
        }
        for stage in stages {
            add(stage.slots.count, readsParameters: stage.requirements.contains(where: \.readsParameters))
        }
        add(optimizer?.slots.count ?? 0, readsParameters: true)
        self.owners = owners
        self.accesses = accesses
    }

    /// The access of a stage.
    func ofStage(_ stage: Int, isKept: Bool) -> SlotAccess {
        var access = accesses[stage]
        access.isKept = isKept
        return access
    }

    /// The access of the optimizer.
    var ofOptimizer: SlotAccess { accesses[accesses.count - 1] }
}
