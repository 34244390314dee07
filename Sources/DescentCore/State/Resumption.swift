/// Which saved component goes on in which component of a chain that is being built.
struct Resumption<Tensors: TensorStorage> {
    private let policy: ResumptionPolicy
    /// Whether a component of which the settings have changed may keep other slots than it did.
    private let allowsOtherSlots: Bool
    /// The layout that states were saved of, where it is another one.
    var formerLayout: ParameterLayout?
    /// For each component, what was saved of it; nil where it starts afresh.
    private(set) var saved: [PipelineState<Tensors>.Component?]

    /// Finds a counterpart for each component.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch`, which spells out the difference.
    init(
        _ state: PipelineState<Tensors>, for layout: ParameterLayout, kinds: [String], _ policy: ResumptionPolicy,
        allowsOtherSlots: Bool = false
    ) throws(DescentError) {
        self.policy = policy
        self.allowsOtherSlots = allowsOtherSlots
        try Self.requireSame(state.layout, layout)
        try state.requireValid()
        let savedKinds = state.components.map(\.kind)
        let difference = kinds.difference(from: savedKinds)
        guard difference.isEmpty || policy == .matchingStages else {
            throw DescentError(.stateMismatch, Self.explanation(savedKinds, kinds, difference))
        }
        var kept = state.components.map { Optional($0) }
        for case .remove(let offset, _, _) in difference { kept[offset] = nil }
        var rest = kept.compactMap { $0 }[...]
        var isNew = [Bool](repeating: false, count: kinds.count)
        for case .insert(let offset, _, _) in difference { isNew[offset] = true }
        saved = isNew.map { $0 ? nil : rest.popFirst() }
    }

    /// Has so many components start afresh.
    init(ofNothing count: Int) {
        policy = .sameStages
        allowsOtherSlots = false
        saved = [PipelineState<Tensors>.Component?](repeating: nil, count: count)
    }

    /// Makes sure that nothing was saved of a stage that remembers nothing.
    func resumeNothing(_ name: String, at index: Int) throws(DescentError) {
        var state = Stateless()
        try resume(&state, slots: [], name: name, at: index)
    }

    /// Gives a window back its micro-batches, and checks its settings; where it cannot be that, it may start empty.
    mutating func configure(
        _ window: inout AccumulationWindow, _ settings: AccumulationWindow.Settings, of name: String, at index: Int,
        for layout: ParameterLayout, on process: ProcessRank?
    ) throws(DescentError) {
        do throws(DescentError) {
            try resume(&window, slots: [AccumulationWindow.slot], name: name, at: index)
            try window.requireValid(settings, of: name, in: layout)
            try window.belong(to: process, of: name)
        } catch {
            guard startsAfresh(index, after: error) else { throw error }
            window.close()
            try window.requireValid(settings, of: name, in: layout)
            try window.belong(to: process, of: name)
        }
    }

    /// Gives a transform back what it remembered, and configures it; where it cannot be that, it may start afresh.
    mutating func configure(
        _ stage: inout some GradientTransform, at index: Int, for layout: ParameterLayout
    ) throws(DescentError) {
        let (fresh, state) = (stage, stage.state)
        do throws(DescentError) {
            try resume(&stage.state, slots: stage.slots, name: stage.name, at: index)
            if let formerLayout { stage.relayout(from: formerLayout, to: layout) }
            try stage.configure(for: layout)
        } catch {
            guard startsAfresh(index, after: error) else { throw error }
            stage = fresh
            // A state that is shared with other stages is not part of the copy.
            stage.state = state
            try stage.configure(for: layout)
        }
    }

    /// Gives an optimizer back what it remembered, and configures it; where it cannot be that, it may start afresh.
    mutating func configure(
        _ optimizer: inout some Optimizer, at index: Int, for layout: ParameterLayout
    ) throws(DescentError) {
        let fresh = optimizer
        do throws(DescentError) {
            try resume(&optimizer.state, slots: optimizer.slots, name: optimizer.name, at: index)
            if let formerLayout { optimizer.relayout(from: formerLayout, to: layout) }
            try optimizer.configure(for: layout)
        } catch {
            guard startsAfresh(index, after: error) else { throw error }
            optimizer = fresh
            try optimizer.configure(for: layout)
        }
    }

    /// Gives a follower back what it remembered, and configures it; where it cannot be that, it may start afresh.
    mutating func configure(
        _ follower: inout some ParameterFollower, at index: Int, for layout: ParameterLayout
    ) throws(DescentError) {
        let fresh = follower
        do throws(DescentError) {
            try resume(&follower.state, slots: follower.slots, name: follower.name, at: index)
            if let formerLayout { follower.relayout(from: formerLayout, to: layout) }
            try follower.configure(for: layout)
        } catch {
            guard startsAfresh(index, after: error) else { throw error }
            follower = fresh
            try follower.configure(for: layout)
        }
    }

    /// Whether a component does without a state that it has refused.
    private mutating func startsAfresh(_ index: Int, after error: DescentError) -> Bool {
        guard policy == .matchingStages, error.code == .stateMismatch, saved[index] != nil else { return false }
        saved[index] = nil
        return true
    }

    private func resume<State: Codable & Sendable>(
        _ state: inout State, slots: [Slot], name: String, at index: Int
    ) throws(DescentError) {
        guard let component = saved[index] else { return }
        let slots = Slot.stored(slots)
        if allowsOtherSlots {
            try requireSameStorage(slots, of: component, name: name)
        } else {
            try requireSlots(slots, of: component, name: name)
        }
        do { state = try component.state.value(as: State.self) } catch {
            throw DescentError(
                .stateMismatch, stage: name,
                "\(name): what was saved of \(component.name) is not what this stage remembers: \(error)")
        }
    }

    private func requireSlots(
        _ slots: [Slot], of component: PipelineState<Tensors>.Component, name: String
    ) throws(DescentError) {
        func list(_ slots: [(String, ElementType, Slot.Shape)]) -> String {
            slots.isEmpty
                ? "none"
                : slots.map { "\"\($0.0)\" in \($0.1)" + ($0.2 == .parameter ? "" : ", one a \($0.2.rawValue)") }
                    .joined(separator: ", ")
        }
        let needed = slots.map { ($0.name, $0.elementType, $0.shape) }
        let found = component.slots.map { ($0.name, $0.tensors.elementType, $0.shape) }
        guard needed.count == found.count, zip(needed, found).allSatisfy({ $0 == $1 }) else {
            throw DescentError(
                .stateMismatch, stage: name,
                "\(name) keeps other buffers than were saved of \(component.name): it keeps \(list(needed)); saved were "
                    + "\(list(found)).")
        }
    }

    /// Refuses a slot that has the name of one that was kept, and is stored in another way.
    private func requireSameStorage(
        _ slots: [Slot], of component: PipelineState<Tensors>.Component, name: String
    ) throws(DescentError) {
        for slot in slots {
            guard let kept = component.slots.first(where: { $0.name == slot.name }),
                kept.shape != slot.shape || kept.tensors.elementType != slot.elementType
            else { continue }
            throw DescentError(
                .invalidSetting, stage: name,
                "\(name) keeps \(slot.name.quotedBriefly) in \(kept.tensors.elementType), which cannot become "
                    + "\(slot.elementType) while training: build another pipeline.")
        }
    }

    private static func requireSame(_ saved: ParameterLayout, _ layout: ParameterLayout) throws(DescentError) {
        guard !saved.elementsEqual(layout) else { return }
        for parameter in layout {
            guard let index = saved.index(named: parameter.name) else {
                throw DescentError(
                    .missingParameter, parameter: parameter.name,
                    "Nothing was saved of \(parameter.name.quotedBriefly): the state is that of another model.")
            }
            guard saved[index] == parameter else {
                throw DescentError(
                    .shapeMismatch, parameter: parameter.name,
                    "\(parameter.name.quotedBriefly) has shape \(parameter.shape) and was saved with \(saved[index].shape)"
                        + (saved[index].shape == parameter.shape ? " and its output units in another dimension." : "."))
            }
        }
        for parameter in saved where layout.index(named: parameter.name) == nil {
            throw DescentError(
                .unexpectedParameter, parameter: parameter.name,
                "The state holds \(parameter.name.quotedBriefly), which is not in the pipeline's layout.")
        }
        throw DescentError(.orderMismatch, "The state is that of the same parameters in another order.")
    }

    private static func explanation(
        _ saved: [String], _ kinds: [String], _ difference: CollectionDifference<String>
    ) -> String {
        func list(_ kinds: [String]) -> String { kinds.isEmpty ? "nothing" : kinds.joined(separator: ", ") }
        var removed = difference.removals.map(\.element)
        var added: [String] = []
        var moved: [String] = []
        for kind in difference.insertions.map(\.element) {
            if let index = removed.firstIndex(of: kind) {
                removed.remove(at: index)
                moved.append(kind)
            } else {
                added.append(kind)
            }
        }
        let changes = [("removed", removed), ("added", added), ("moved", moved)].filter { !$0.1.isEmpty }
            .map { "\($0.0): \(list($0.1))" }.joined(separator: "; ")
        return
            "The state is that of another chain. Saved: \(list(saved)). Now: \(list(kinds)). Since then, \(changes). "
            + "Build the chain that was saved, or resume `.matchingStages`."
    }
}

extension CollectionDifference.Change {
    fileprivate var element: ChangeElement {
        switch self {
        case .insert(_, let element, _), .remove(_, let element, _): element
        }
    }
}
