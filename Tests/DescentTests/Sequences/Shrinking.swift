import Descent

extension CallSequence {
    /// The shortest sequence found in which pipeline and model still disagree on the same.
    func smallest(_ failure: Runner.Failure, limit: Int = 3_000) -> (CallSequence, Runner.Failure) {
        var best = (self, failure)
        best.0.calls = Array(calls.prefix(failure.call + 1))
        var tried = 0
        search: while true {
            for candidate in best.0.smaller {
                tried += 1
                if tried > limit { break search }
                guard let found = Runner.run(candidate), found.isLike(failure)
                else { continue }
                best = (candidate, found)
                best.0.calls = Array(best.0.calls.prefix(found.call + 1))
                continue search
            }
            break
        }
        return best
    }

    /// Sequences that are a little shorter or easier to read, those that shrink most first.
    private var smaller: [CallSequence] {
        var sequences: [CallSequence] = []
        func add(_ change: (inout CallSequence) -> Void) {
            var other = self
            change(&other)
            sequences.append(other)
        }
        var length = calls.count / 2
        while length >= 1 {
            for start in stride(from: 0, to: calls.count, by: length) {
                add { $0.calls.removeSubrange(start..<min(start + length, calls.count)) }
            }
            length /= 2
        }
        if parameters.kind != .ones { add { $0.parameters.kind = .ones } }
        if sharedScale != nil, subjects.count == 1 { add { $0.sharedScale = nil } }
        if subjects.count > 1 { add { $0.subjects.removeLast() } }
        for index in tensors.indices where tensors.count > 1 { add { $0.tensors.remove(at: index) } }
        for index in subjects.indices { addSimplerSubjects(index, add) }
        for index in calls.indices { addSimplerCalls(index, add) }
        for index in tensors.indices where tensors[index].outputAxis == .last {
            add { $0.tensors[index].outputAxis = .first }
        }
        for index in tensors.indices {
            for shape in [[1], [2]] where tensors[index].shape.reduce(1, *) > shape[0] || tensors[index].shape.count > 1
            {
                if tensors[index].shape.reduce(1, *) > 0 { add { $0.tensors[index].shape = shape } }
            }
        }
        return sequences
    }

    private func addSimplerSubjects(_ index: Int, _ add: ((inout CallSequence) -> Void) -> Void) {
        let subject = subjects[index]
        for stage in subject.stages.indices { add { $0.subjects[index].stages.remove(at: stage) } }
        for stage in subject.stages.indices where subject.stages[stage].prefix != nil {
            add { $0.subjects[index].stages[stage].prefix = nil }
        }
        if subject.companion != nil { add { $0.subjects[index].companion = nil } }
        if subject.threads > 1 { add { $0.subjects[index].threads = 1 } }
        if subject.blockLength < 64 { add { $0.subjects[index].blockLength = 64 } }
        if subject.policy != .skip { add { $0.subjects[index].policy = .skip } }
        if let optimizer = subject.optimizer {
            for kind in [OptimizerSetting.Kind.plainSGD, .momentumSGD] where optimizer.kind.rank > kind.rank {
                add { $0.subjects[index].optimizer?.kind = kind }
            }
            if case .constant = optimizer.rate {} else { add { $0.subjects[index].optimizer?.rate = .constant(0.25) } }
        }
    }

    private func addSimplerCalls(_ index: Int, _ add: ((inout CallSequence) -> Void) -> Void) {
        let call = calls[index]
        if call.subject > 0 {
            add { $0.calls[index].subject = 0 }
            if call.subject > 1 { add { $0.calls[index].subject = 1 } }
        }
        if call.fault != nil { add { $0.calls[index].fault = nil } }
        switch call.action {
        case .step(let gradients, let weight, let argument, let closing):
            for simpler in gradients.simpler {
                add {
                    $0.calls[index].action = .step(simpler, weight: weight, lossScale: argument, closingWindow: closing)
                }
            }
            if weight != 1 || argument != .none || closing {
                add { $0.calls[index].action = .step(gradients, weight: 1, lossScale: .none, closingWindow: false) }
            }
        case .receive(let parameter, let gradients, let weight):
            for simpler in gradients.simpler {
                add { $0.calls[index].action = .receive(parameter: parameter, simpler, weight: weight) }
            }
            if weight != 1 { add { $0.calls[index].action = .receive(parameter: parameter, gradients, weight: 1) } }
        case .stepReceived(let closing):
            if closing { add { $0.calls[index].action = .stepReceived(closingWindow: false) } }
        default: break
        }
    }
}

extension OptimizerSetting.Kind {
    fileprivate var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

extension Gradients {
    /// The same, easier to read.
    fileprivate var simpler: [Gradients] {
        var candidates: [Gradients] = []
        if let spoiled {
            candidates = [self, self]
            candidates[0].spoiled = nil
            candidates[1].spoiled = (0, 0, spoiled.value)
            if spoiled.tensor == 0, spoiled.element == 0 { candidates.removeLast() }
        }
        if type != .float32 {
            candidates.append(self)
            candidates[candidates.count - 1].type = .float32
        }
        if kind != .ones {
            candidates.append(self)
            candidates[candidates.count - 1].kind = .ones
        }
        return candidates
    }
}
