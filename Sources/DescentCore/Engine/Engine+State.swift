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
            var components = elements.chain.stages.map { component($0, Stateless()) }
            for (index, position) in elements.chain.transformPositions.enumerated() {
                components[position] = component(chain.transforms[index], at: position)
            }
            if let accumulation, let position = elements.chain.window?.position {
                components[position] = component(
                    elements.chain.stages[position], accumulation.window,
                    slots([AccumulationWindow.slot], at: position))
            }
            for branch in elements.branches.indices { components += try self.components(ofBranch: branch) }
            if let masters = slotTable.ofMasters { components.append(mastersComponent(masters)) }
            for (position, settings) in changedSettings {
                components[position] = components[position].with(changedSettings: settings)
            }
            let metricStates = drivers.reduce(into: [:]) { $0.merge($1.metricStates) { first, _ in first } }
            return PipelineState(
                counters: counters, layout: layout, components: components, metricStates: metricStates,
                division: design.division)
        }
    }

    private typealias Component = PipelineState<Backend.Tensors>.Component

    private func components(ofBranch branch: Int) throws(DescentError) -> [Component] {
        let (own, position) = (elements.branches[branch], elements.componentPosition(ofBranch: branch))
        var components = [component(chain.optimizers[branch], at: position)]
        components += own.branch.stages.map { component($0, Stateless()) }
        let first = elements.firstTransform(ofBranch: branch)
        for (offset, transform) in own.transforms.enumerated() {
            let value = chain.transforms[first + offset]
            components[1 + transform.position] = component(value, at: position + 1 + transform.position)
        }
        for (offset, follower) in own.followers.enumerated() {
            let index = chain.branchPlaces[branch].followers.lowerBound + offset
            components[1 + follower.position] = try component(
                chain.followers[index], at: position + 1 + follower.position,
                hasBegun: !followerStarts.late.contains(index))
        }
        return components
    }

    private func mastersComponent(_ slot: Int) -> Component {
        Component(
            kind: MasterParameters.name, name: MasterParameters.name, state: LiveState(value: Stateless()),
            slots: [
                SavedSlot(
                    name: MasterParameters.slot.name, tensors: sweeps.slots[slot], of: slotTable.wholeLayouts[slot])
            ])
    }

    private func component(
        _ stage: any Stage, _ state: some Codable & Sendable, _ slots: [SavedSlot<Backend.Tensors>] = []
    ) -> Component {
        Component(kind: kind(of: stage), name: stage.name, state: LiveState(value: state), slots: slots)
    }

    private func component(_ transform: some GradientTransform, at position: Int) -> Component {
        component(transform, transform.state, slots(transform.slots, at: position))
    }

    private func component(
        _ follower: some ParameterFollower, at position: Int, hasBegun: Bool
    ) throws(DescentError) -> Component {
        var slots = slots(follower.slots, at: position)
        // What has not begun keeps nothing, by which it is known where it is resumed.
        for index in slots.indices where !hasBegun {
            let slot = slots[index]
            let nothing = try Slot.layout(
                slot.shape, slot.tensors.elementType, of: layout, isUsed: layout.map { _ in false })
            slots[index] = SavedSlot(
                name: slot.name, shape: slot.shape,
                tensors: sweeps.backend.makeTensors(nothing, slot.tensors.elementType))
        }
        return component(follower, follower.state, slots)
    }

    private func component(_ optimizer: some Optimizer, at position: Int) -> Component {
        Component(
            kind: kind(of: optimizer), name: optimizer.name, state: LiveState(value: optimizer.state),
            slots: slots(optimizer.slots, at: position))
    }

    private func slots(_ declared: [Slot], at position: Int) -> [SavedSlot<Backend.Tensors>] {
        zip(Slot.stored(declared), slotTable.ofComponents[position]).map { slot, index in
            SavedSlot(
                name: slot.name, shape: slot.shape, tensors: sweeps.slots[index], of: slotTable.wholeLayouts[index])
        }
    }

    /// The average of the parameters, put together from those of all optimizers; nil if one of them keeps none, or other
    /// processes have a part of it.
    var averagedParameters: Backend.Tensors? {
        let slots = slotTable.parameterAverages.compactMap { $0 }
        guard let first = slots.first, slots.count == slotTable.parameterAverages.count, !sharesRows else { return nil }
        guard slots.count > 1 else { return sweeps.slots[first] }
        var averages = sweeps.backend.makeTensors(layout, .float32)
        for slot in slots {
            do throws(DescentError) { try sweeps.slots[slot].copyContents(into: &averages) } catch {
                stopForMisuse("tensors that cannot be copied: \(error.message)")
            }
        }
        return averages
    }

    /// The average of the parameters, of which each process has a part; nil if one of the optimizers keeps none.
    ///
    /// - Parameter parameters: The parameters; frozen ones are what their average is.
    /// - Returns: The average, in float32.
    /// - Throws: What the exchange throws.
    mutating func gatherAveragedParameters(
        _ parameters: Backend.Tensors
    ) throws(DescentError) -> Backend.Tensors? {
        let slots = slotTable.parameterAverages.compactMap { $0 }
        guard sharesRows, slots.count == slotTable.parameterAverages.count else { return averagedParameters }
        // Processes that are about to do something else are told of it, instead of being taken at their rows.
        _ = exchange?.gather([Double(counters.appliedSteps)])
        try exchange?.requireGathered()
        var averages = sweeps.backend.makeTensors(layout, .float32)
        for parameter in layout.indices where design.isFrozen[parameter] {
            try parameters.copyNumbers(of: parameter, into: &averages)
        }
        for slot in slots { try sweeps.slots[slot].copyRows(to: slotTable.origins[slot], of: &averages) }
        try exchange?.gatherRows(of: &averages)
        return averages
    }

    /// Gives slots, schedules and counters what was saved, where components go on.
    ///
    /// Of parameters that a component works on now and did not then, slots begin at zero, and so does the count of updates.
    mutating func restore(
        _ state: PipelineState<Backend.Tensors>, _ resumption: Resumption<Backend.Tensors>
    ) throws(DescentError) {
        counters = state.counters
        for slot in slotTable.names.indices {
            guard let saved = resumption.slot(slot, of: slotTable) else { continue }
            if state.division == nil, sharesRows {
                try saved.tensors.copyRows(from: slotTable.origins[slot], into: &sweeps.slots[slot])
            } else if sharesRows || !saved.tensors.layout.elementsEqual(slotTable.layouts[slot]) {
                try saved.tensors.copyContents(into: &sweeps.slots[slot])
            }
        }
        if !sharesRows { try keepAverages(resumption) }
        countNewcomers(resumption)
        for index in drivers.indices { try drivers[index].resume(state.metricStates) }
    }

    /// Has the average of a parameter go with it to another optimizer, or to the first when it is frozen.
    private mutating func keepAverages(_ resumption: Resumption<Backend.Tensors>) throws(DescentError) {
        let averages = slotTable.parameterAverages.compactMap { $0 }
        for saved in averages.compactMap({ resumption.slot($0, of: slotTable) }) where averages.count > 1 {
            for slot in averages where sweeps.slots[slot].elementType == saved.tensors.elementType {
                guard !slotTable.layouts[slot].elementsEqual(saved.tensors.layout) else { continue }
                try saved.tensors.copyContents(into: &sweeps.slots[slot])
            }
        }
    }
}
