// How what was remembered of some parameters becomes that of others.

extension ParameterLayout {
    /// For each parameter, the position that it has in another layout, with the same name, shape and output axis; nil where
    /// that has none.
    public func positions(in other: ParameterLayout) -> [Int?] {
        map { parameter in other.index(named: parameter.name).flatMap { other[$0] == parameter ? $0 : nil } }
    }
}

extension StepCounters {
    /// The counts of other parameters, those that are new having missed all steps.
    ///
    /// - Parameter positions: For each of them, the position that it had; nil for one that is new.
    /// - Returns: The counts.
    func relaid(to positions: [Int?]) -> StepCounters {
        let missed = positions.map { position in
            position.map { missedSteps.isEmpty ? 0 : missedSteps[$0] } ?? appliedSteps
        }
        return StepCounters(
            appliedSteps: appliedSteps, skippedSteps: skippedSteps, consecutiveSkips: consecutiveSkips,
            missedSteps: missed.contains { $0 > 0 } ? missed : [])
    }
}

extension PipelineState {
    /// The state of a pipeline of other parameters: of those that are in both, what was remembered; of others nothing.
    ///
    /// - Parameters:
    ///   - layout: The other parameters.
    ///   - makeTensors: Makes tensors of a layout, filled with zeros.
    /// - Returns: The state. What stages keep of each parameter besides their slots is what it was.
    /// - Throws: ``DescentError`` if all slots together are more than memory can hold.
    func relaid(
        to layout: ParameterLayout, _ makeTensors: (ParameterLayout, ElementType) -> Tensors
    ) throws(DescentError) -> PipelineState {
        let positions = layout.positions(in: self.layout)
        var components: [Component] = []
        for component in self.components {
            var slots: [SavedSlot<Tensors>] = []
            for slot in component.slots {
                let isKept = positions.map { $0.map { slot.tensors.layout[$0].count > 0 } ?? false }
                var tensors = makeTensors(
                    try Slot.layout(slot.shape, slot.tensors.elementType, of: layout, isUsed: isKept),
                    slot.tensors.elementType)
                for (new, old) in positions.enumerated() {
                    guard let old, isKept[new] else { continue }
                    try slot.tensors.withBytes(of: old) { source throws(DescentError) in
                        try tensors.withMutableBytes(of: new) { $0.copyMemory(from: source) }
                    }
                }
                slots.append(SavedSlot(name: slot.name, shape: slot.shape, tensors: tensors))
            }
            components.append(
                Component(
                    kind: component.kind, name: component.name, state: component.state, slots: slots,
                    changedSettings: component.changedSettings))
        }
        return PipelineState(
            counters: counters.relaid(to: positions), layout: layout, components: components,
            metricStates: metricStates)
    }
}
