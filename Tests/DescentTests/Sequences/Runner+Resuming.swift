import Descent
import TestSupport

extension Runner {
    /// Saves or goes back; nil where the pipeline is not to be called further.
    func resume(_ action: Call.Action, _ branch: Branch) throws -> Performance? {
        guard shared == nil || isQuiet else { return nil }
        if case .restore = action { return try restore(branch) }
        let machine = branch.machine
        guard branch.model.reception == nil else {
            let observation = Observation { () throws(DescentError) in
                _ = try machine.state
                return nil
            }
            return Performance(
                observation: observation,
                consequence: try branch.model.refuse(["incompleteMicroBatch"], observation))
        }
        switch action {
        case .save: try save(branch)
        case .checkpoint:
            guard let folder else { return nil }
            try machine.resume(through: folder["checkpoint.safetensors"])
            try branch.companion?.resume(through: folder["companion.safetensors"])
            branch.model.histograms = .none
        default:
            if let state = try machine.state { try machine.resume(state) }
            if let companion = branch.companion, let state = try companion.state { try companion.resume(state) }
            branch.model.histograms = .none
        }
        if let shared, !action.isSaving { shared.model.restore(shared.model.scale) }
        return Performance(observation: Observation { nil }, consequence: Consequence())
    }

    private func save(_ branch: Branch) throws {
        guard let state = try branch.machine.state else { return }
        branch.saved = Branch.Saved(
            state: state, companion: try branch.companion?.state, parameters: branch.machine.parameters,
            model: branch.model, sharedScale: shared?.model.scale)
    }

    private func restore(_ branch: Branch) throws -> Performance? {
        guard let saved = branch.saved else { return nil }
        branch.machine.parameters = saved.parameters
        try branch.machine.resume(saved.state)
        if let companion = branch.companion, let state = saved.companion {
            companion.parameters = saved.parameters
            try companion.resume(state)
        }
        branch.model = saved.model
        branch.model.histograms = .none
        if let shared, let scale = saved.sharedScale { shared.model.restore(scale) }
        return Performance(observation: Observation { nil }, consequence: Consequence())
    }

    /// Makes a call that is refused.
    func make(_ mistake: Call.Mistake, _ branch: Branch) throws -> Performance? {
        let machine = branch.machine
        guard machine.pipeline != nil, let last = layout.last else { return nil }
        let good = try makeTensors(Gradients(seed: 1, kind: .ones).values(of: layout, lossScale: 1))
        let larger = try ParameterDescription(last.name, shape: last.shape + [2], outputAxis: last.outputAxis)
        let wrong = TensorSet(zeros: try ParameterLayout(layout.dropLast() + [larger]))
        let fewer = TensorSet(zeros: try ParameterLayout(Array(layout.dropLast())))
        let before = branch.model.reception == nil ? [] : ["missingParameter"]
        let (observation, codes): (Observation, [String])
        func step(_ gradients: TensorSet, weight: Double = 1) -> Observation {
            machine.step(gradients, weight: weight, lossScale: nil, closingWindow: false)
        }
        switch mistake {
        case .gradientsOfAnotherShape: (observation, codes) = (step(wrong), ["shapeMismatch"])
        case .gradientsMissing: (observation, codes) = (step(fewer), ["missingParameter"])
        case .negativeWeight: (observation, codes) = (step(good, weight: -1), ["invalidWeight"])
        case .infiniteWeight: (observation, codes) = (step(good, weight: .infinity), ["invalidWeight"])
        case .parametersOfAnotherShape:
            (observation, codes) = (machine.step(good, otherParameters: wrong), ["shapeMismatch"])
        case .parametersInHalf:
            let half = TensorSet(zeros: layout, .bfloat16)
            (observation, codes) = (machine.step(good, otherParameters: half), ["elementTypeMismatch"])
        case .receivedInAnotherShape:
            (observation, codes) = (machine.receive(wrong, of: 0, weight: 1), ["shapeMismatch"])
        case .receivedOfNoParameter:
            let position = layout.count * 2 - 1
            (observation, codes) = (machine.receive(good, of: position, weight: 1), ["unexpectedParameter"])
        case .receivedWithNaNWeight:
            (observation, codes) = (machine.receive(good, of: 0, weight: .nan), ["invalidWeight"])
        }
        let isReceiving = [.receivedInAnotherShape, .receivedWithNaNWeight, .receivedOfNoParameter].contains(mistake)
        return Performance(
            observation: observation,
            consequence: try branch.model.refuse(codes + (isReceiving ? [] : before), observation))
    }
}

extension Call.Action {
    fileprivate var isSaving: Bool { if case .save = self { true } else { false } }
}
