import DescentCore

/// A pipeline that a subject is part of, at work on a case; a copy goes its own way.
struct Session<Backend: TensorBackend> {
    /// What is particular about a session.
    struct Options {
        /// Whether the pipeline is saved, and another one resumed, after each micro-batch.
        var reloads = false
        /// Whether gradients arrive one by one, the last parameter's first.
        var isStreamed = false
        var nonFinite = NonFinitePolicy.skip
        var earlier: [any Stage] = []
        var later: [any Stage] = []
        /// Which of several sets of parameters to start with.
        var parameters = 0
        /// Whether steps can be vetoed.
        var hasVetoes = false
    }

    /// What is particular about a step.
    struct Event {
        /// Which gradients to take.
        var gradients: Int
        /// Whether a stage behind the subject vetoes the step, in a session that has vetoes.
        var isVetoed = false
        /// Changes gradients before they are handed over.
        var edit: ((_ parameter: ParameterDescription, _ elements: inout [Float]) -> Void)?

        init(
            _ gradients: Int, isVetoed: Bool = false,
            edit: ((_ parameter: ParameterDescription, _ elements: inout [Float]) -> Void)? = nil
        ) {
            self.gradients = gradients
            self.isVetoed = isVetoed
            self.edit = edit
        }
    }

    let subject: Subject
    let layout: ParameterLayout
    let log = ProbeLog()
    private let example: Case
    private let access: TensorAccess<Backend>
    private let veto = Veto.Switch()
    private let isStreamed: Bool
    private let resume: ((GradientPipeline<Backend>, Backend.Tensors) throws -> GradientPipeline<Backend>)?
    private var pipeline: GradientPipeline<Backend>
    private var parameters: Backend.Tensors

    /// Builds the pipeline.
    ///
    /// - Throws: ``UnsuitableCase`` if the subject refuses the layout.
    init(_ subject: Subject, _ example: Case, on backend: Backend, _ options: Options = Options()) throws {
        self.subject = subject
        self.example = example
        layout = try example.layout
        access = TensorAccess(backend, layout)
        isStreamed = options.isStreamed
        let parameters = access.tensors(example.parameters(of: layout, variant: options.parameters))
        let parts = subject.parts(
            log: log, earlier: options.earlier,
            later: options.later + (options.hasVetoes ? [Veto(isTold: veto)] : []))
        do {
            pipeline = try GradientPipeline(
                for: parameters, configuration: .init(nonFinite: options.nonFinite), on: backend, { parts.stages },
                driving: { parts.optimizer })
        } catch { throw UnsuitableCase(reason: error) }
        self.parameters = parameters
        resume =
            options.reloads
            ? { pipeline, parameters in
                try GradientPipeline(
                    resuming: pipeline.state.writtenDown(), for: parameters,
                    configuration: .init(nonFinite: options.nonFinite), on: backend,
                    { parts.stages }, driving: { parts.optimizer })
            } : nil
    }

    /// Carries out one step.
    mutating func step(_ event: Event) throws -> Trace.Step {
        veto.isOn = event.isVetoed
        defer { veto.isOn = false }
        var values = example.gradients(step: event.gradients, of: layout)
        if let edit = event.edit {
            for (index, parameter) in layout.enumerated() { edit(parameter, &values[index]) }
        }
        let outcome = try step(access.tensors(values))
        if let resume { pipeline = try resume(pipeline, parameters) }
        return record(outcome)
    }

    private mutating func step(_ gradients: Backend.Tensors) throws -> StepOutcome {
        guard isStreamed else { return try pipeline.step(&parameters, gradients: gradients) }
        for index in layout.indices.reversed() where layout[index].count > 0 {
            try pipeline.receive(gradients, of: index)
        }
        return try pipeline.step(&parameters)
    }

    private func record(_ outcome: StepOutcome) -> Trace.Step {
        var results: [Trace.Result] = []
        for name in pipeline.slotNames {
            guard let slot = pipeline.slot(named: name) else { continue }
            let kind = name == Recorder.slotName ? Trace.Result.Kind.gradient : .slot(name)
            results.append(Trace.Result(kind: kind, values: slotValues(slot)))
        }
        results.append(Trace.Result(kind: .parameters, values: access.values(of: parameters)))
        return Trace.Step(outcome: outcome, results: results, state: log.state, names: layout.map(\.name))
    }

    /// The elements of a slot, which may keep nothing of some parameters, and less than all of others.
    private func slotValues(_ slot: Backend.Tensors) -> [[Float]] {
        slot.layout == layout ? access.values(of: slot) : TensorAccess(access.backend, slot.layout).values(of: slot)
    }
}

extension Session {
    /// What a subject does in all steps of a case.
    ///
    /// - Throws: ``UnsuitableCase``, or what a step throws.
    static func trace(
        of subject: Subject, _ example: Case, on backend: Backend, _ options: Options = Options()
    ) throws -> Trace {
        var session = try Session(subject, example, on: backend, options)
        return Trace(steps: try (0..<example.steps).map { try session.step(Event($0)) })
    }
}
