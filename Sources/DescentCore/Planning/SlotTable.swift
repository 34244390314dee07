/// Which buffers a pipeline keeps, and whose each is.
struct SlotTable: Sendable {
    /// Their names: "AdamW.first moment".
    private(set) var names: [String] = []
    /// Their names among those of their owner: "first moment".
    private(set) var ownNames: [String] = []
    private(set) var types: [ElementType] = []
    private(set) var shapes: [Slot.Shape] = []
    /// What each keeps of the parameters; where processes share rows, of those of this one.
    private(set) var layouts: [ParameterLayout] = []
    /// What each keeps of the parameters in all processes together.
    private(set) var wholeLayouts: [ParameterLayout] = []
    /// Where what each keeps of a parameter begins in what is kept by all processes; empty where this one keeps all.
    private(set) var origins: [[Int]] = []
    /// For each component, its slots.
    private(set) var ofComponents: [Range<Int>] = []
    /// For each station, its slots.
    private(set) var ofStations: [Range<Int>] = []
    /// For each branch, the slots of each of its followers.
    private(set) var ofFollowers: [[Range<Int>]] = []
    /// The sum of the window, where micro-batches are gathered.
    private(set) var ofWindow: Int?
    /// For each branch, the average of its parameters, if it keeps one.
    private(set) var parameterAverages: [Int?] = []
    /// The master copies of parameters of 16 bits, if they are kept.
    private(set) var ofMasters: Int?

    /// Lists the slots, in the order of the components.
    ///
    /// - Parameters:
    ///   - elements: What the pipeline consists of.
    ///   - slots: The slots of each component.
    ///   - layout: The parameters.
    ///   - isFrozen: For each parameter, whether a stage has frozen it: nothing is kept of it but its average.
    ///   - owners: Which branch moves each parameter.
    ///   - keepsMasters: Whether master copies of parameters are kept.
    /// - Throws: ``DescentError`` if two slots of one owner have the same name, or one cannot be stored as it says.
    init(
        _ elements: PipelineElements, _ slots: [[Slot]], _ layout: ParameterLayout, isFrozen: [Bool],
        _ owners: ParameterOwners, keepsMasters: Bool = false
    ) throws(DescentError) {
        let names = Slot.owners(elements.componentNames)
        let chain = elements.chain
        for position in chain.stages.indices {
            ofComponents.append(try add(slots[position], of: names[position], in: layout, isUsed: isFrozen.map { !$0 }))
        }
        ofStations = chain.transformPositions.map { ofComponents[$0] }
        ofWindow = chain.window.map { ofComponents[$0.position].lowerBound }
        for (index, branch) in elements.branches.enumerated() {
            let isUsed = owners.isOwned(by: index)
            // Frozen parameters have an average, too: what they are.
            let isAveraged = owners.branches.map { $0 == index || ($0 == nil && index == 0) }
            let position = elements.componentPosition(ofBranch: index)
            var average: Int?
            for component in position...position + branch.branch.stages.count {
                let range = try add(slots[component], of: names[component], in: layout, isUsed: isUsed, isAveraged)
                ofComponents.append(range)
                let own = slots[component].firstIndex { $0.role == .parameterAverage }
                average = average ?? own.map { range.lowerBound + $0 }
            }
            ofStations.append(ofComponents[position])
            ofStations += branch.transforms.map { ofComponents[position + 1 + $0.position] }
            ofFollowers.append(branch.followers.map { ofComponents[position + 1 + $0.position] })
            parameterAverages.append(average)
        }
        guard keepsMasters else { return }
        let isMoved = owners.branches.map { $0 != nil }
        let masters = try add([MasterParameters.slot], of: MasterParameters.name, in: layout, isUsed: isMoved)
        ofComponents.append(masters)
        ofMasters = masters.lowerBound
    }

    /// Whether small tensors may be worked on as one: random bits for rounding are made of each tensor's own places.
    var isJoinable: Bool { types.allSatisfy { $0 == .float32 } }

    /// Keeps the rows of this process alone.
    mutating func keepOnly(_ division: RowDivision, of layout: ParameterLayout) throws(DescentError) {
        for slot in names.indices {
            let part = try division.part(of: layouts[slot], shapes[slot], of: layout, rank: division.rank)
            layouts[slot] = part.layout
            origins.append(part.origins)
        }
    }

    private mutating func add(
        _ declared: [Slot], of owner: String, in layout: ParameterLayout, isUsed: [Bool], _ isAveraged: [Bool]? = nil
    ) throws(DescentError) -> Range<Int> {
        let slots = Slot.stored(declared)
        try DescentError.require(
            Set(slots.map(\.name)).count == slots.count, owner, "two of its slots have the same name.")
        let first = names.count
        for slot in slots {
            try DescentError.require(
                slot.shape == .parameter || slot.elementType == .float32
                    || (slot.shape == .group && slot.elementType == .uint8), owner,
                "its slot \(slot.name) keeps a number for each \(slot.shape.rawValue) in \(slot.elementType); use float32."
            )
            try DescentError.require(
                !slot.elementType.isCoded || slot.role == .buffer, owner,
                "its slot \(slot.name) is an average of the parameters in \(slot.elementType), which is too coarse.")
            layouts.append(
                try Slot.layout(
                    slot.shape, slot.elementType, of: layout,
                    isUsed: slot.role == .parameterAverage ? isAveraged ?? isUsed : isUsed))
        }
        wholeLayouts = layouts
        names += slots.map { "\(owner).\($0.name)" }
        ownNames += slots.map(\.name)
        types += slots.map(\.elementType)
        shapes += slots.map(\.shape)
        return first..<names.count
    }
}
