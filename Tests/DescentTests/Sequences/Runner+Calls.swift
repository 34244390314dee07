import Descent
import TestSupport

extension Runner {
    /// Carries out a call on a pipeline, its companion and its model; nil where it makes no sense.
    func perform(_ action: Call.Action, on branch: Branch, _ command: Model.Command?) throws -> Performance? {
        let isReceiving = branch.model.reception != nil
        switch action {
        case .step(let gradients, let weight, let argument, let closingWindow):
            return try step(branch, gradients, weight, argument, closingWindow, command)
        case .receive(let parameter, let gradients, let weight):
            return try receive(branch, parameter % max(1, layout.count), gradients, weight, command)
        case .stepReceived(let closingWindow): return try stepReceived(branch, closingWindow, command)
        case .flush:
            guard Feature.chosen.contains(.flushWhileReceiving) || !isReceiving else { return nil }
            return try perform(on: branch, command) {
                $0.flush()
            } expecting: {
                try branch.model.flush($0)
            }
        case .discardReceived:
            guard branch.machine.pipeline != nil else { return nil }
            let observation = branch.machine.discardReceived()
            if branch.companion?.companion != .whole { _ = branch.companion?.discardReceived() }
            return Performance(
                observation: observation, consequence: try branch.model.discardReceived(observation))
        case .copy:
            guard branches.count < 4, Feature.chosen.contains(branch.model.copyingFeature) else { return nil }
            branches.append(branch.copy())
            return nil
        case .requestHistograms:
            guard branch.machine.pipeline != nil else { return nil }
            branch.machine.pipeline?.requestHistograms()
            branch.companion?.pipeline?.requestHistograms()
            // Gradients that have arrived are not counted any more.
            branch.model.histograms = isReceiving ? .none : .requested
            return nil
        case .save, .restore, .resume, .checkpoint: return try resume(action, branch)
        case .updateSharedScale: return try updateSharedScale()
        case .mistake(let mistake): return try make(mistake, branch)
        }
    }

    /// Carries out a call in the same way on a pipeline and its companion, then on the model.
    private func perform(
        on branch: Branch, _ command: Model.Command?, closesWindow: Bool = true, _ call: (Machine) -> Observation,
        expecting: (Model.Circumstances) throws -> Consequence
    ) throws -> Performance {
        let told = [command].compactMap { $0 }
        let observation = observe(branch.machine, told, call)
        // A companion that is given all at once has nothing to do while others receive.
        let skipsCompanion = branch.companion?.companion == .whole && branch.model.reception != nil
        let companion = skipsCompanion ? nil : branch.companion.map { observe($0, told, call) }
        let consequence = try expecting(
            .init(observation: observation, command: command, closesWindow: closesWindow))
        return Performance(
            observation: observation, companion: companion, consequence: consequence,
            gradients: layout.map { [Float](repeating: 0, count: $0.count) })
    }

    private func observe(
        _ machine: Machine, _ commands: [Model.Command], _ call: (Machine) -> Observation
    ) -> Observation {
        command.commands = commands.compactMap { command in
            guard case .faulty(let number, _) = machine.subject.stages[command.position].kind else { return nil }
            return (number, command.fault)
        }
        var observation = call(machine)
        observation.hasFired = command.takeFired()
        if machine.companion == nil { observed = observation }
        return observation
    }

    private func step(
        _ branch: Branch, _ gradients: Gradients, _ weight: Double, _ argument: Call.LossScaleArgument,
        _ closingWindow: Bool, _ command: Model.Command?
    ) throws -> Performance {
        let scale = branch.model.lossScale
        let tensors = try makeTensors(gradients.values(of: layout, lossScale: scale), gradients.type)
        let lossScale: Float? =
            switch argument {
            case .none: nil
            case .right: scale
            case .wrong: scale * 2
            }
        let values = tensors.arrays
        var performance = try perform(on: branch, command, closesWindow: closingWindow) {
            $0.step(tensors, weight: weight, lossScale: lossScale, closingWindow: closingWindow)
        } expecting: {
            try branch.model.step(values, weight: weight, lossScale: lossScale, $0)
        }
        performance.gradients = values
        return performance
    }

    private func receive(
        _ branch: Branch, _ parameter: Int, _ gradients: Gradients, _ weight: Double, _ command: Model.Command?
    ) throws -> Performance? {
        guard branch.machine.pipeline != nil, !layout.isEmpty else { return nil }
        guard Feature.chosen.contains(.emptyTensorsReceived) || layout[parameter].count > 0 else { return nil }
        let weight = branch.model.reception?.weight ?? weight
        let type = branch.model.reception?.type ?? gradients.type
        let tensors = try makeTensors(gradients.values(of: layout, lossScale: branch.model.lossScale), type)
        let told = [command].compactMap { $0 }
        let observation = observe(branch.machine, told) { $0.receive(tensors, of: parameter, weight: weight) }
        if let companion = branch.companion, companion.companion != .whole {
            _ = observe(companion, told) { $0.receive(tensors, of: parameter, weight: weight) }
        }
        let consequence = try branch.model.receive(
            tensors.arrays[parameter], of: parameter, type, weight: weight,
            .init(observation: observation, command: command))
        return Performance(observation: observation, consequence: consequence)
    }

    private func stepReceived(
        _ branch: Branch, _ closingWindow: Bool, _ command: Model.Command?
    ) throws -> Performance? {
        guard branch.machine.pipeline != nil, branch.model.reception != nil || layout.elementCount > 0 else {
            return nil
        }
        let (model, reception) = (branch.model, branch.model.reception)
        // The sum of a window that is full with one micro-batch alone is the micro-batch; closed early, it is divided
        // by its weight again where gradients arrived one by one.
        let isEarly = closingWindow && model.window.received == 0 && model.accumulation?.steps ?? 1 > 1
        let closingWindow = closingWindow && !(isEarly && branch.companion?.companion == .whole)
        let told = [command].compactMap { $0 }
        let observation = observe(branch.machine, told) { $0.stepReceived(closingWindow: closingWindow) }
        let isRefused = ["missingParameter", "incompleteMicroBatch"].contains(observation.errorCode)
        var other: Observation?
        if let companion = branch.companion {
            if companion.companion != .whole {
                other = observe(companion, told) { $0.stepReceived(closingWindow: closingWindow) }
            } else if !isRefused, let reception {
                let values = layout.indices.map { reception.values[$0] ?? [] }
                let tensors = try makeTensors(values, reception.type)
                // It is told to do the same wrong at once.
                var toldAtOnce =
                    observation.hasFired || command?.fault == .throwInFinish ? [command].compactMap { $0 } : []
                if let position = reception.vetoedBy { toldAtOnce.append((position, .veto)) }
                other = observe(companion, toldAtOnce) {
                    $0.step(tensors, weight: reception.weight, lossScale: nil, closingWindow: closingWindow)
                }
            }
        }
        let consequence = try branch.model.stepReceived(
            .init(observation: observation, command: command, closesWindow: closingWindow))
        return Performance(observation: observation, companion: other, consequence: consequence)
    }

    private func updateSharedScale() throws -> Performance? {
        guard let shared, isQuiet else { return nil }
        let observation = Observation { () throws(DescentError) in
            try shared.pipelines.update()
            return nil
        }
        observed = observation
        let expected: Observation.Kind = shared.model.update() ? .threw("lossScaleExhausted") : .nothing
        try require(
            observation.kind == expected, .outcome, "expected the update of the shared scale to have: \(expected)")
        return nil
    }

    /// Whether no window is open anywhere, so that a shared scale may change.
    var isQuiet: Bool { branches.allSatisfy { $0.model.reception == nil && $0.model.window.received == 0 } }
}

extension Model {
    /// What a copy at this moment is an example of.
    fileprivate var copyingFeature: Feature {
        guard let reception else { return .copying }
        return reception.values.contains { $0 == nil } ? .copyingWhileReceiving : .copyingWhenReceived
    }
}
