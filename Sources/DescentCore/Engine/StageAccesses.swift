/// What each transform of a pipeline, and its optimizer, may use of a block.
struct StageAccesses: Sendable {
    /// Whom the accesses name; kept here, because they do not keep them.
    private let owners: [StageAtWork]
    /// For each transform, then for the optimizer.
    private let accesses: [SlotAccess]

    init(_ transforms: [any GradientTransform], _ optimizer: (any Optimizer)?, _ slots: SlotTable) {
        let owners = (transforms.map(\.name) + [optimizer?.name ?? "The optimizer"]).map { StageAtWork($0) }
        let readsParameters = transforms.map { $0.requirements.contains(where: \.readsParameters) } + [true]
        self.owners = owners
        accesses = (slots.ofTransforms + [slots.ofOptimizer]).enumerated().map { index, slots in
            SlotAccess(
                first: slots.lowerBound, count: slots.count, readsParameters: readsParameters[index], of: owners[index])
        }
    }

    /// The access of a transform.
    func ofTransform(_ index: Int, isKept: Bool) -> SlotAccess {
        var access = accesses[index]
        access.isKept = isKept
        return access
    }

    /// The access of the optimizer.
    var ofOptimizer: SlotAccess { accesses[accesses.count - 1] }
}
