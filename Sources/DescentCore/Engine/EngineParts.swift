/// The parts of a pipeline that are configured when it is built, and may go on from a saved state.
struct EngineParts {
    private let elements: PipelineElements
    /// The transforms: those in front of the optimizers, then those behind each.
    private(set) var transforms: [any GradientTransform]
    private(set) var window = AccumulationWindow()
    private(set) var exchange: (any GradientExchange)?
    /// The optimizer of each branch.
    private(set) var optimizers: [any Optimizer]
    /// For each branch, what follows the parameters as they move.
    private(set) var followers: [[any ParameterFollower]]

    /// - Parameters:
    ///   - elements: The stages and optimizers, sorted by what they are.
    ///   - sharding: What shares rows with other processes; nil where no stage of the chain stands for it either.
    init(_ elements: PipelineElements, sharing sharding: (any GradientExchange)?) {
        self.elements = elements
        transforms = elements.chain.transforms + elements.branches.flatMap { $0.transforms.map(\.value) }
        exchange = sharding ?? elements.chain.exchange?.value
        optimizers = elements.branches.map(\.branch.optimizer)
        followers = elements.branches.map { $0.followers.map(\.value) }
    }

    /// The slots of each component, in the order in which their state is saved.
    var slots: [[Slot]] {
        var slots = elements.chain.stages.map { _ in [Slot]() }
        for (index, position) in elements.chain.transformPositions.enumerated() {
            slots[position] = transforms[index].slots
        }
        if let position = elements.chain.window?.position { slots[position] = [AccumulationWindow.slot] }
        for (index, branch) in elements.branches.enumerated() {
            slots.append(optimizers[index].slots)
            var ofStages = branch.branch.stages.map { _ in [Slot]() }
            let first = elements.firstTransform(ofBranch: index)
            for (offset, transform) in branch.transforms.enumerated() {
                ofStages[transform.position] = transforms[first + offset].slots
            }
            for (offset, follower) in branch.followers.enumerated() {
                ofStages[follower.position] = followers[index][offset].slots
            }
            slots += ofStages
        }
        return slots
    }

    /// What stands on the way from gradients to updates, in order.
    var stations: [Station] {
        var stations = transforms.prefix(elements.trunkCount).enumerated().map { Station($1, at: $0, of: nil) }
        for (branch, optimizer) in optimizers.enumerated() {
            stations.append(Station(optimizer, of: branch))
            let first = elements.firstTransform(ofBranch: branch)
            for index in first..<first + elements.branches[branch].transforms.count {
                stations.append(Station(transforms[index], at: index, of: branch))
            }
        }
        return stations
    }

    /// Gives each part what it remembered, and has it configured.
    ///
    /// - Parameters:
    ///   - layout: The parameters.
    ///   - resumption: What was saved of each component; learns which of them start afresh.
    /// - Throws: What resuming or configuring throws; states that transforms share with others are what they were then.
    mutating func configure<Tensors>(
        for layout: ParameterLayout, resuming resumption: inout Resumption<Tensors>
    ) throws(DescentError) {
        let before = transforms.map { stateBefore($0) }
        do throws(DescentError) {
            try configure(for: layout, &resumption)
        } catch {
            for index in transforms.indices { giveBack(before[index], to: &transforms[index]) }
            throw error
        }
    }

    private mutating func configure<Tensors>(
        for layout: ParameterLayout, _ resumption: inout Resumption<Tensors>
    ) throws(DescentError) {
        let chain = elements.chain
        for freeze in chain.freezes {
            let name = chain.stages[freeze.position].name
            try freeze.selection.requireMatch(in: layout, of: name)
            try resumption.resumeNothing(name, at: freeze.position)
        }
        if let element = chain.window {
            let name = chain.stages[element.position].name
            try resumption.configure(
                &window, element.settings, of: name, at: element.position, for: layout, on: exchange?.process)
        }
        if let position = chain.exchange?.position {
            try resumption.resumeNothing(chain.stages[position].name, at: position)
        }
        try exchange?.configure(for: layout)
        for (index, position) in chain.transformPositions.enumerated() {
            try resumption.configure(&transforms[index], at: position, for: layout)
        }
        for index in elements.branches.indices { try configureBranch(index, for: layout, &resumption) }
    }

    private mutating func configureBranch<Tensors>(
        _ index: Int, for layout: ParameterLayout, _ resumption: inout Resumption<Tensors>
    ) throws(DescentError) {
        let (branch, position) = (elements.branches[index], elements.componentPosition(ofBranch: index))
        try resumption.configure(&optimizers[index], at: position, for: layout)
        let first = elements.firstTransform(ofBranch: index)
        for (offset, transform) in branch.transforms.enumerated() {
            let index = first + offset
            try resumption.configure(&transforms[index], at: position + 1 + transform.position, for: layout)
        }
        for (offset, follower) in branch.followers.enumerated() {
            try resumption.configure(
                &followers[index][offset], at: position + 1 + follower.position, for: layout)
        }
    }

    private func stateBefore(_ transform: some GradientTransform) -> any Sendable { transform.state }

    private func giveBack<Transform: GradientTransform>(_ state: any Sendable, to transform: inout Transform) {
        if let state = state as? Transform.State { transform.state = state }
    }
}

extension EngineParts {
    /// Whether two parameters are moved by the same optimizer, which does the same to both, or by none.
    func areUpdatedAlike(_ parameter: Int, _ other: Int, by owners: ParameterOwners) -> Bool {
        guard owners.branches[parameter] == owners.branches[other] else { return false }
        guard let branch = owners.branches[parameter] else { return true }
        // Slots that do not keep a number for each element may lie apart although the elements do not.
        return optimizers[branch].slots.allSatisfy { $0.shape == .parameter }
            && optimizers[branch].treatsAlike(parameter, other)
    }
}
