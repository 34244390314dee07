/// What a pipeline is made of, as it was handed over and changed since, before anything is configured.
///
/// Components are counted as their states are saved: the stages, then each optimizer with the stages behind it.
struct Composition {
    /// The stages in front of the optimizers.
    var stages: [any Stage]
    /// The optimizers, each with what is behind it.
    var branches: [OptimizerBranch]
    /// Whether the pipeline keeps master copies of parameters.
    var keepsMasters = false

    /// A component of it.
    private enum Place {
        case stage(Int)
        case optimizer(Int)
        case stageBehind(branch: Int, Int)
        case masters
    }

    private var places: [Place] {
        stages.indices.map { .stage($0) }
            + branches.indices.flatMap { branch in
                [.optimizer(branch)] + branches[branch].stages.indices.map { .stageBehind(branch: branch, $0) }
            } + (keepsMasters ? [.masters] : [])
    }

    /// The names of the components' types, by which what was saved of them is found again.
    var kinds: [String] {
        places.map { place in
            switch place {
            case .stage(let index): kind(of: stages[index])
            case .optimizer(let branch): kind(of: branches[branch].optimizer)
            case .stageBehind(let branch, let index): kind(of: branches[branch].stages[index])
            case .masters: MasterParameters.name
            }
        }
    }

    /// Takes over settings that were saved because they had been changed while training.
    ///
    /// - Throws: ``DescentError`` with code `stateMismatch` for settings that are not the component's.
    mutating func adopt(_ settings: any ComponentState, at position: Int) throws(DescentError) {
        do {
            switch places[position] {
            case .stage(let index): try stages[index].adopt(settings)
            case .optimizer(let branch): try branches[branch].optimizer.adopt(settings)
            case .stageBehind(let branch, let index): try branches[branch].stages[index].adopt(settings)
            case .masters: break
            }
        } catch {
            throw DescentError(
                .stateMismatch, stage: kinds[position],
                "\(kinds[position]): the settings that it was changed to cannot be read: \(error). Resume with "
                    + "`resumedSettings: .given` to do without them.")
        }
    }

    /// Takes over the settings that components were changed to while training, before their states were saved.
    mutating func adoptSettings<Tensors>(of saved: [PipelineState<Tensors>.Component?]) throws(DescentError) {
        for (position, component) in saved.enumerated() {
            if let settings = component?.changedSettings { try adopt(settings, at: position) }
        }
    }

    /// Changes the stage of a type.
    ///
    /// - Parameters:
    ///   - type: The type of the stage.
    ///   - number: Which of those of the type, counted from 1; nil if there is one.
    ///   - change: What is changed.
    /// - Returns: The position of the stage among the components, and its settings.
    /// - Throws: What `change` throws, and ``DescentError`` with code `invalidSetting` if there is no such stage, or it cannot
    ///   be told which is meant, or its settings cannot be written down.
    mutating func change<Changed: Stage>(
        _ type: Changed.Type, number: Int?, _ change: (inout Changed) throws -> Void
    ) throws -> (position: Int, settings: any ComponentState) {
        // A stage of the type comes before one that is restricted to some parameters.
        let isOfType = places.indices.contains { stage(at: $0) is Changed }
        let position = try position(of: "\(type)", number) { position in
            let stage = stage(at: position)
            return isOfType ? stage is Changed : (stage as? any StageAround)?.holds(Changed.self) ?? false
        }
        var settings: (any ComponentState)?
        switch places[position] {
        case .stage(let index): settings = try Self.change(&stages[index], change)
        case .stageBehind(let branch, let index): settings = try Self.change(&branches[branch].stages[index], change)
        case .optimizer, .masters: break
        }
        return (position, try require(settings, of: "\(type)", as: "DescribedStage"))
    }

    /// Changes the optimizer of a type; see ``change(_:number:_:)-(Stage.Type,_,_)``.
    mutating func change<Changed: Optimizer>(
        _ type: Changed.Type, number: Int?, _ change: (inout Changed) throws -> Void
    ) throws -> (position: Int, settings: any ComponentState) {
        let position = try position(of: "\(type)", number) { position in
            if case .optimizer(let branch) = places[position] { branches[branch].optimizer is Changed } else { false }
        }
        var settings: (any ComponentState)?
        if case .optimizer(let branch) = places[position], var optimizer = branches[branch].optimizer as? Changed {
            try change(&optimizer)
            branches[branch].optimizer = optimizer
            settings = optimizer.savedSettings
        }
        return (position, try require(settings, of: "\(type)", as: "DescribedOptimizer"))
    }

    /// The position of a component of a type, if it is known which is meant.
    private func position(
        of name: String, _ number: Int?, _ isWanted: (Int) -> Bool
    ) throws(DescentError) -> Int {
        let found = places.indices.filter(isWanted)
        let index = (number ?? 1) - 1
        guard found.indices.contains(index) else {
            throw DescentError(
                .invalidSetting, stage: name,
                "there is no \(number.map { "\(name) number \($0)" } ?? name) to change; the pipeline has "
                    + "\(kinds.joined(separator: ", ")).")
        }
        try DescentError.require(
            number != nil || found.count == 1, name,
            "there are \(found.count) of that type; say which: `number: 1` is the first of them.")
        return found[index]
    }

    /// The stage that a component is; nil of optimizers and masters.
    private func stage(at position: Int) -> (any Stage)? {
        switch places[position] {
        case .stage(let index): stages[index]
        case .stageBehind(let branch, let index): branches[branch].stages[index]
        case .optimizer, .masters: nil
        }
    }

    private static func change<Changed: Stage>(
        _ stage: inout any Stage, _ change: (inout Changed) throws -> Void
    ) throws -> (any ComponentState)? {
        if var changed = stage as? Changed {
            try change(&changed)
            stage = changed
        } else if var around = stage as? any StageAround {
            _ = try Self.change(&around.inner, change)
            stage = around
        }
        return stage.savedSettings
    }

    private func require(
        _ settings: (any ComponentState)?, of name: String, as conformance: String
    ) throws(DescentError) -> any ComponentState {
        if let settings { return settings }
        throw DescentError(
            .invalidSetting, stage: name,
            "the settings of \(name) cannot be written down, so that the change would be lost with the process: have it "
                + "conform to \(conformance).")
    }
}

extension StageAround {
    /// Whether a stage of a type is inside, however deep.
    fileprivate func holds<Wanted: Stage>(_ type: Wanted.Type) -> Bool {
        inner is Wanted || (inner as? any StageAround)?.holds(type) ?? false
    }
}

/// The name of a component's type, by which what was saved of it is found again.
func kind(of component: Any) -> String { String(describing: type(of: component)) }
