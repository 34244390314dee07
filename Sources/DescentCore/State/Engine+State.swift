extension Engine {
    /// What the engine remembers between steps.
    ///
    /// - Throws: ``DescentError`` with code `incompleteMicroBatch` while gradients arrive one by one.
    var state: PipelineState<Backend.Tensors> {
        get throws(DescentError) {
            if let arrived = reception?.isReceived {
                throw DescentError(
                    .incompleteMicroBatch,
                    "\(arrived.count { $0 }) of \(arrived.count) gradients of a micro-batch have arrived, which cannot be "
                        + "saved. Step first.")
            }
            let stages = currentStages
            var components = stages.indices.map { component(stages[$0], at: $0) }
            if let optimizer { components.append(component(optimizer, at: stages.count)) }
            return PipelineState(
                appliedSteps: appliedSteps, skippedSteps: skippedSteps, nonFiniteInARow: skipsInARow,
                layout: layout, components: components)
        }
    }

    private func component(
        _ stage: some GradientTransform, at index: Int
    ) -> PipelineState<Backend.Tensors>.Component {
        .init(
            kind: Self.kind(of: stage), name: stage.name, state: LiveState(value: stage.state),
            slots: slots(stage.slots, at: index))
    }

    private func component(_ optimizer: some Optimizer, at index: Int) -> PipelineState<Backend.Tensors>.Component {
        .init(
            kind: Self.kind(of: optimizer), name: optimizer.name, state: LiveState(value: optimizer.state),
            slots: slots(optimizer.slots, at: index))
    }

    private func slots(_ declared: [Slot], at index: Int) -> [(name: String, tensors: Backend.Tensors)] {
        zip(declared, slots[firstSlots[index]...]).map { (name: $0.name, tensors: $1) }
    }

    /// The name of a component's type, by which what was saved of it is found again.
    static func kind(of component: Any) -> String { String(describing: type(of: component)) }

    /// Gives stages and optimizer what they remembered, and has them configured; tells what was saved of each.
    ///
    /// - Throws: What resuming or configuring throws; states that stages share with others are what they were then.
    static func configure(
        _ stages: inout [any GradientTransform], _ optimizer: inout (any Optimizer)?, for layout: ParameterLayout,
        resuming state: PipelineState<Backend.Tensors>?, _ policy: ResumptionPolicy
    ) throws(DescentError) -> [PipelineState<Backend.Tensors>.Component?] {
        guard let state else {
            for index in stages.indices { try stages[index].configure(for: layout) }
            try optimizer?.configure(for: layout)
            return []
        }
        let kinds = stages.map { kind(of: $0) } + (optimizer.map { [kind(of: $0)] } ?? [])
        var resumption = try Resumption(state, for: layout, kinds: kinds, policy)
        let before = stages.map { Self.stateBefore($0) }
        do throws(DescentError) {
            for index in stages.indices { try resumption.configure(&stages[index], at: index, for: layout) }
            if var resumed = optimizer {
                try resumption.configure(&resumed, at: stages.count, for: layout)
                optimizer = resumed
            }
        } catch {
            for index in stages.indices { giveBack(before[index], to: &stages[index]) }
            throw error
        }
        return resumption.saved
    }

    private static func stateBefore(_ stage: some GradientTransform) -> any Sendable { stage.state }

    private static func giveBack<Stage: GradientTransform>(_ state: any Sendable, to stage: inout Stage) {
        if let state = state as? Stage.State { stage.state = state }
    }

    /// Gives slots and counters what was saved, where components go on.
    mutating func restore(
        _ state: PipelineState<Backend.Tensors>, _ saved: [PipelineState<Backend.Tensors>.Component?]
    ) {
        appliedSteps = state.appliedSteps
        skippedSteps = state.skippedSteps
        skipsInARow = state.nonFiniteInARow
        for (component, first) in zip(saved, firstSlots) {
            for (offset, slot) in (component?.slots ?? []).enumerated() { slots[first + offset] = slot.tensors }
        }
    }
}
