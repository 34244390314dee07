/// Which parameter-shaped buffers a pipeline keeps, and whose each is.
struct SlotTable: Sendable {
    /// Their names: "AdamW.first moment".
    private(set) var names: [String] = []
    private(set) var types: [ElementType] = []
    /// For each transform, its slots.
    private(set) var ofTransforms: [Range<Int>] = []
    /// The sum of the window, where micro-batches are gathered.
    private(set) var ofWindow: Int?
    /// The optimizer's slots.
    private(set) var ofOptimizer = 0..<0
    /// The average of the parameters that the optimizer keeps, if it does.
    private(set) var parameterAverage: Int?

    /// Lists the slots, in the order of the chain.
    ///
    /// - Throws: ``DescentError`` if two slots of one owner have the same name.
    init(_ chain: ChainElements, _ transforms: [any GradientTransform], _ optimizer: (any Optimizer)?)
        throws(DescentError)
    {
        let owners = Slot.owners(chain.stages.map(\.name) + [optimizer?.name ?? ""])
        var next = 0
        for position in chain.stages.indices {
            if next < transforms.count, chain.transformPositions[next] == position {
                ofTransforms.append(try add(transforms[next].slots, of: owners[position]))
                next += 1
            } else if position == chain.window?.position {
                ofWindow = try add([AccumulationWindow.slot], of: owners[position]).lowerBound
            }
        }
        let slots = optimizer?.slots ?? []
        ofOptimizer = try add(slots, of: owners[owners.count - 1])
        parameterAverage = slots.firstIndex { $0.role == .parameterAverage }.map { ofOptimizer.lowerBound + $0 }
    }

    private mutating func add(_ slots: [Slot], of owner: String) throws(DescentError) -> Range<Int> {
        try DescentError.require(
            Set(slots.map(\.name)).count == slots.count, owner, "two of its slots have the same name.")
        let first = names.count
        names += slots.map { "\(owner).\($0.name)" }
        types += slots.map(\.elementType)
        return first..<names.count
    }
}
