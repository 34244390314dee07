import Descent
import TestSupport

/// A pipeline or a chain, and the tensors that go with it: what is tested.
///
/// A class, so that calls change the pipeline where it is; a pipeline taken out of a variable and put back would be
/// two copies for a while, and what is tested is what copies share.
final class Machine {
    let subject: Subject
    let companion: Subject.Companion?
    let command: FaultSwitch
    let shared: SharedLossScale?
    var pipeline: Pipeline?
    var chain: Chain?
    var parameters: TensorSet
    /// What a chain transforms.
    var gradients: TensorSet?

    private var backend: SIMDBackend {
        SIMDBackend(
            threads: companion == .anotherThread ? 2 : subject.threads, blockLength: subject.blockLength,
            elementsPerThread: 2, instructionSet: companion == .portable ? .portable : .preferred)
    }

    private var stages: [any Stage] {
        subject.stages.map { $0.make(shared, command) } + (subject.hasPlantedFault ? [Scale(by: 1.001)] : [])
    }

    init(
        _ subject: Subject, as companion: Subject.Companion? = nil, _ parameters: TensorSet, _ shared: SharedLossScale?,
        _ command: FaultSwitch
    ) throws(DescentError) {
        self.subject = subject
        self.companion = companion
        self.parameters = parameters
        self.shared = shared
        self.command = command
        let (stages, policy) = (stages, subject.policy)
        if let optimizer = subject.optimizer {
            pipeline = try Pipeline(for: parameters, configuration: .init(nonFinite: policy), on: backend) {
                stages
            } driving: {
                optimizer.make()
            }
        } else {
            chain = try Chain(for: parameters.layout, configuration: .init(nonFinite: policy), on: backend) { stages }
        }
    }

    private init(copying other: Machine) {
        subject = other.subject
        companion = other.companion
        command = other.command
        shared = other.shared
        pipeline = other.pipeline
        chain = other.chain
        parameters = other.parameters
    }

    /// A copy of the pipeline and its parameters, as assigning them to other variables makes it.
    func copy() -> Machine { Machine(copying: self) }

    var appliedSteps: Int { pipeline?.appliedSteps ?? chain?.appliedSteps ?? 0 }
    var skippedSteps: Int { pipeline?.skippedSteps ?? chain?.skippedSteps ?? 0 }
    var lossScale: Float { pipeline?.lossScale ?? chain?.lossScale ?? 0 }
    var state: PipelineState<TensorSet>? {
        get throws(DescentError) {
            if let pipeline { try pipeline.state } else { try chain?.state }
        }
    }

    /// The slots by name.
    var slots: [String: [[Float]]] {
        var slots: [String: [[Float]]] = [:]
        if let pipeline {
            for name in pipeline.slotNames { slots[name] = pipeline.slot(named: name)?.arrays }
        } else if let state = try? chain?.state {
            for component in state.components {
                for slot in component.slots { slots["\(component.name).\(slot.name)"] = slot.tensors.arrays }
            }
        }
        return slots
    }

    /// Takes in all gradients of a micro-batch.
    func step(_ gradients: TensorSet, weight: Double, lossScale: Float?, closingWindow: Bool) -> Observation {
        Observation { () throws(DescentError) in
            if pipeline != nil, companion == .elsewhere {
                return try updateElsewhere { parameters, updated throws(DescentError) in
                    try pipeline?.step(
                        parameters, into: &updated, gradients: gradients, weight: weight, lossScale: lossScale,
                        closingWindow: closingWindow)
                }
            }
            if pipeline != nil {
                return try pipeline?.step(
                    &parameters, gradients: gradients, weight: weight, lossScale: lossScale,
                    closingWindow: closingWindow)
            }
            var transformed = gradients
            defer { self.gradients = transformed }
            if companion == .elsewhere {
                // What is not written stays what it was.
                return try chain?.transform(
                    gradients, into: &transformed, parameters: parameters, weight: weight, lossScale: lossScale,
                    closingWindow: closingWindow)
            }
            return try chain?.transform(
                &transformed, parameters: parameters, weight: weight, lossScale: lossScale,
                closingWindow: closingWindow)
        }
    }

    func receive(_ gradients: TensorSet, of parameter: Int, weight: Double) -> Observation {
        Observation { () throws(DescentError) in
            try pipeline?.receive(gradients, of: parameter, weight: weight)
            return nil
        }
    }

    func stepReceived(closingWindow: Bool) -> Observation {
        Observation { () throws(DescentError) in
            guard companion == .elsewhere else {
                return try pipeline?.step(&parameters, closingWindow: closingWindow)
            }
            return try updateElsewhere { parameters, updated throws(DescentError) in
                try pipeline?.step(parameters, into: &updated, closingWindow: closingWindow)
            }
        }
    }

    /// Has a call write updated parameters to other memory, which takes the place of the parameters if it was written.
    private func updateElsewhere(
        _ body: (TensorSet, inout TensorSet) throws(DescentError) -> StepOutcome?
    ) throws(DescentError) -> StepOutcome? {
        var updated = TensorSet(zeros: parameters.layout)
        // A NaN that nobody makes marks what has not been written.
        let mark = Float(bitPattern: 0x7fc0_1234)
        for parameter in updated.layout {
            updated[parameter.name] = [Float](repeating: mark, count: parameter.count)
        }
        let marked = updated.bits
        // What was written and should not have been, or the other way round, shows as parameters that differ.
        defer { if updated.bits != marked { parameters = updated } }
        return try body(parameters, &updated)
    }

    func flush() -> Observation {
        Observation { () throws(DescentError) in
            if pipeline != nil, companion == .elsewhere {
                return try updateElsewhere { parameters, updated throws(DescentError) in
                    try pipeline?.flush(parameters, into: &updated)
                }
            }
            if pipeline != nil { return try pipeline?.flush(&parameters) }
            var transformed = TensorSet(zeros: parameters.layout)
            defer { self.gradients = transformed }
            return try chain?.flush(into: &transformed, parameters: parameters)
        }
    }

    /// Becomes a machine that goes on from a state.
    func resume(_ state: PipelineState<TensorSet>) throws(DescentError) {
        let (stages, policy) = (stages, subject.policy)
        if let optimizer = subject.optimizer {
            pipeline = try Pipeline(
                resuming: state, for: parameters, configuration: .init(nonFinite: policy), on: backend
            ) {
                stages
            } driving: {
                optimizer.make()
            }
        } else {
            chain = try Chain(
                resuming: state, for: parameters.layout, configuration: .init(nonFinite: policy), on: backend
            ) { stages }
        }
    }

    /// Writes everything to a file and becomes a machine that goes on from it.
    func resume(through path: String) throws(DescentError) {
        let (stages, policy) = (stages, subject.policy)
        if let optimizer = subject.optimizer {
            try pipeline?.checkpoint(to: path, including: parameters)
            var restored = TensorSet(zeros: parameters.layout)
            pipeline = try Pipeline(
                resuming: path, restoring: &restored, configuration: .init(nonFinite: policy), on: backend
            ) {
                stages
            } driving: {
                optimizer.make()
            }
            parameters = restored
        } else {
            try chain?.checkpoint(to: path)
            chain = try Chain(
                resuming: path, for: parameters.layout, configuration: .init(nonFinite: policy), on: backend
            ) { stages }
        }
    }
}

extension Machine {
    /// What the stages that do wrong on command have counted.
    var faultyStates: [FaultyStage.State] {
        (pipeline?.stages ?? []).compactMap { ($0 as? FaultyStage)?.state }
    }

    /// Steps with parameters that are refused.
    func step(_ gradients: TensorSet, otherParameters: TensorSet) -> Observation {
        Observation { () throws(DescentError) in
            var other = otherParameters
            return try pipeline?.step(&other, gradients: gradients)
        }
    }

    func discardReceived() -> Observation {
        pipeline?.discardReceived()
        return Observation { nil }
    }
}
