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

    /// Gives stages and optimizer what they remembered, before they are configured; tells what was saved of each.
    static func resume(
        _ stages: inout [any GradientTransform], _ optimizer: inout (any Optimizer)?,
        from state: PipelineState<Backend.Tensors>?, for layout: ParameterLayout, _ policy: ResumptionPolicy
    ) throws(DescentError) -> [PipelineState<Backend.Tensors>.Component?] {
        guard let state else { return [] }
        let kinds = stages.map { kind(of: $0) } + (optimizer.map { [kind(of: $0)] } ?? [])
        var resumption = try Resumption(state, for: layout, kinds: kinds, policy)
        for index in stages.indices { try resumption.resume(&stages[index], at: index) }
        if var resumed = optimizer {
            try resumption.resume(&resumed, at: stages.count)
            optimizer = resumed
        }
        return resumption.saved
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
