import Descent
import TestSupport

/// Carries out a sequence on pipelines and on their models, and finds where they do not agree.
final class Runner {
    let sequence: CallSequence
    let layout: ParameterLayout
    var branches: [Branch] = []
    let command = FaultSwitch()
    /// The loss scale that pipelines share, and that their models share.
    var shared: (pipelines: SharedLossScale, model: SharedModelLossScale)?
    let folder: TemporaryFolder?
    /// What the last call on a pipeline did.
    var observed: Observation?

    /// Where pipeline and model did not agree.
    struct Failure {
        let disagreement: Disagreement
        /// The position of the call.
        let call: Int
        /// What the pipeline did in it.
        let observed: Observation?

        /// Whether this is likely to be for the same reason as another one.
        func isLike(_ other: Failure) -> Bool {
            disagreement.subject == other.disagreement.subject && observed?.kind == other.observed?.kind
        }
    }

    private init(_ sequence: CallSequence) throws {
        self.sequence = sequence
        layout = try sequence.layout
        let writes = sequence.calls.contains { if case .checkpoint = $0.action { true } else { false } }
        folder = writes ? try TemporaryFolder() : nil
        if let setting = sequence.sharedScale {
            shared = (try SharedLossScale(setting.lossScale), SharedModelLossScale(setting))
        }
        for (index, subject) in sequence.subjects.enumerated() {
            var drawn = sequence.parameters
            drawn.seed &+= UInt64(index)
            let values = drawn.values(of: layout, lossScale: 1)
            let parameters = try makeTensors(values)
            let machine = try Machine(subject, parameters, shared?.pipelines, command)
            let companion = try subject.companion.map {
                try Machine(subject, as: $0, parameters, nil, command)
            }
            branches.append(Branch(machine, companion: companion, Model(machine, shared?.model)))
        }
    }

    /// Runs a sequence; gives nil if pipeline and model agree from beginning to end.
    static func run(_ sequence: CallSequence) -> Failure? {
        let runner: Runner
        do { runner = try Runner(sequence) } catch {
            return Failure(disagreement: Disagreement(.building, "\(error)"), call: 0, observed: nil)
        }
        for (index, call) in sequence.calls.enumerated() where !runner.branches.isEmpty {
            do {
                runner.observed = nil
                try runner.perform(call)
            } catch {
                let disagreement = error as? Disagreement ?? Disagreement(.building, "\(error)")
                return Failure(disagreement: disagreement, call: index, observed: runner.observed)
            }
        }
        return nil
    }

    func makeTensors(_ values: [[Float]], _ type: ElementType = .float32) throws -> TensorSet {
        var tensors = TensorSet(zeros: layout, type)
        for (index, parameter) in layout.enumerated() { tensors[parameter.name] = values[index] }
        return tensors
    }

    private func perform(_ call: Call) throws {
        let position = call.subject % branches.count
        let branch = branches[position]
        let faulty = branch.model.faultyPositions
        let command: Model.Command? = call.fault.flatMap { fault in
            faulty.isEmpty ? nil : (faulty[fault.stage % faulty.count], fault.kind)
        }
        guard let performance = try perform(call.action, on: branch, command) else { return }
        observed = performance.observation
        let texts = performance.companion.map { (performance.observation.text, $0.text) }
        if performance.consequence.isUnknown {
            try requireFinite(branch, performance.observation)
            if performance.companion != nil { try branch.compareWithCompanion(texts, comparesSum: false) }
            branches.remove(at: position)
            // What the step did to a scale that others share is not known either.
            if shared != nil { branches = [] }
            return
        }
        try branch.compare(performance.consequence)
        try compareTransformed(branch, performance)
        if performance.companion != nil { try branch.compareWithCompanion(texts) }
        for (index, other) in branches.enumerated() where index != position {
            do { try other.compare(Consequence()) } catch {
                throw Disagreement(
                    .otherPipeline, "pipeline \(index), on which nothing was called: \(error.description)")
            }
        }
        if !branch.model.parameters.joined().allSatisfy(\.isFinite) { branches.remove(at: position) }
    }

    /// What a call did, and is to have done.
    struct Performance {
        let observation: Observation
        var companion: Observation?
        let consequence: Consequence
        /// The gradients that a chain was given.
        var gradients: [[Float]]?
    }

    private func compareTransformed(_ branch: Branch, _ performance: Performance) throws(Disagreement) {
        guard branch.machine.chain != nil, let given = performance.gradients,
            let found = branch.machine.gradients?.arrays
        else { return }
        if let expected = performance.consequence.transformed {
            let type = branch.machine.gradients?.elementType ?? .float32
            let stored = expected.map { $0.map { $0.stored(as: type) } }
            try branch.compare(found, stored, .gradients, "transformed gradients")
            for parameter in layout.indices where branch.model.frozen[parameter] {
                try require(
                    [found[parameter]].bits == [given[parameter]].bits, .gradients, "frozen gradients have changed")
            }
        } else {
            try require(
                found.bits == given.bits, .gradients,
                "gradients are \(found), which were \(given) and were not to change")
        }
        if let companion = branch.companion {
            try require(companion.gradients?.arrays.bits == found.bits, .companion, "other transformed gradients")
        }
    }

    /// Requires of a step whose numbers the model cannot tell that nothing applied is not finite.
    private func requireFinite(_ branch: Branch, _ observation: Observation) throws(Disagreement) {
        if observation.skipCode != nil {
            try require(
                branch.machine.parameters.arrays.bits == branch.model.parameters.bits, .parameters,
                "a skipped step has changed the parameters")
        }
        guard observation.kind == .applied, branch.machine.subject.policy != .propagate else { return }
        try require(
            branch.machine.parameters.arrays.joined().allSatisfy(\.isFinite), .notFinite,
            "an applied step has left parameters that are not finite: \(branch.machine.parameters.arrays)")
    }
}

extension Model {
    /// The positions of stages that do wrong on command.
    var faultyPositions: [Int] {
        subject.stages.indices.filter { if case .faulty = subject.stages[$0].kind { true } else { false } }
    }
}
