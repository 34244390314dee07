extension Engine {
    /// What the engine remembers between steps.
    ///
    /// - Throws: ``DescentError`` with code `incompleteMicroBatch` while gradients arrive one by one.
    var state: PipelineState<Backend.Tensors> {
        get throws(DescentError) {
            if let arrived = received?.isReceived {
                throw DescentError(
                    .incompleteMicroBatch,
                    "\(arrived.count { $0 }) of \(arrived.count) gradients of a micro-batch have arrived, which cannot be "
                        + "saved. Step first.")
            }
            var components = elements.stages.map { component($0, Stateless()) }
            for (index, position) in elements.transformPositions.enumerated() {
                components[position] = component(chain.transforms[index], slotTable.ofTransforms[index])
            }
            if let accumulation, let position = elements.window?.position {
                components[position] = component(
                    elements.stages[position], accumulation.window,
                    [(AccumulationWindow.slot.name, sweeps.slots[accumulation.slot])])
            }
            if let optimizer { components.append(component(optimizer)) }
            return PipelineState(counters: counters, layout: layout, components: components)
        }
    }

    private typealias Component = PipelineState<Backend.Tensors>.Component

    private func component(
        _ stage: any Stage, _ state: some Codable & Sendable, _ slots: [(name: String, tensors: Backend.Tensors)] = []
    ) -> Component {
        Component(kind: kind(of: stage), name: stage.name, state: LiveState(value: state), slots: slots)
    }

    private func component(_ transform: some GradientTransform, _ range: Range<Int>) -> Component {
        component(transform, transform.state, slots(transform.slots, range))
    }

    private func component(_ optimizer: some Optimizer) -> Component {
        Component(
            kind: kind(of: optimizer), name: optimizer.name, state: LiveState(value: optimizer.state),
            slots: slots(optimizer.slots, slotTable.ofOptimizer))
    }

    private func slots(_ declared: [Slot], _ range: Range<Int>) -> [(name: String, tensors: Backend.Tensors)] {
        zip(declared, sweeps.slots[range]).map { (name: $0.name, tensors: $1) }
    }

    /// Gives slots and counters what was saved, where components go on.
    mutating func restore(
        _ state: PipelineState<Backend.Tensors>, _ saved: [PipelineState<Backend.Tensors>.Component?]
    ) {
        counters = state.counters
        var firstSlots = zip(elements.transformPositions, slotTable.ofTransforms).map { ($0, $1.lowerBound) }
        if let accumulation, let position = elements.window?.position {
            firstSlots.append((position, accumulation.slot))
        }
        firstSlots.append((elements.stages.count, slotTable.ofOptimizer.lowerBound))
        for (position, first) in firstSlots where position < saved.count {
            for (offset, slot) in (saved[position]?.slots ?? []).enumerated() {
                sweeps.slots[first + offset] = slot.tensors
            }
        }
    }
}
