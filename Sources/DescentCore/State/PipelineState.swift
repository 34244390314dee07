/// Everything that a pipeline or a chain remembers between steps: what another run needs to go on with the same bits.
///
/// It shares memory with the pipeline until the next step, which leaves it as it is. So it can be written to a file
/// while training goes on.
public struct PipelineState<Tensors: TensorStorage>: Sendable {
    /// How many steps have been applied and skipped.
    public let counters: StepCounters
    /// How many steps have been applied.
    public var appliedSteps: Int { counters.appliedSteps }
    /// How many steps have been skipped.
    public var skippedSteps: Int { counters.skippedSteps }
    /// The parameters that the pipeline was built for.
    public let layout: ParameterLayout
    /// The stages in the order of the chain, then the optimizer, if there is one.
    public let components: [Component]

    /// What one stage or the optimizer remembers.
    public struct Component: Sendable {
        /// Which type it is: what has to be the same for state to be resumed.
        public let kind: String
        /// Its name, which tells its settings; these may have changed when state is resumed.
        public let name: String
        /// What it remembers besides its slots.
        public let state: any ComponentState
        /// Its parameter-shaped buffers.
        public let slots: [(name: String, tensors: Tensors)]

        /// Describes a component as it was saved.
        public init(kind: String, name: String, state: any ComponentState, slots: [(name: String, tensors: Tensors)]) {
            self.kind = kind
            self.name = name
            self.state = state
            self.slots = slots
        }
    }

    /// Describes a pipeline as it was saved.
    public init(counters: StepCounters, layout: ParameterLayout, components: [Component]) {
        self.counters = counters
        self.layout = layout
        self.components = components
    }
}

/// The state of a stage or optimizer, as a value or as it was written down.
public protocol ComponentState: Encodable, Sendable {
    /// The state as the type that it has in the component.
    ///
    /// - Throws: Any error if it cannot be that.
    func value<State: Codable & Sendable>(as type: State.Type) throws -> State
}

/// State in memory.
struct LiveState<Value: Codable & Sendable>: ComponentState {
    let value: Value

    func value<State: Codable & Sendable>(as type: State.Type) throws -> State {
        guard let state = value as? State else {
            throw DescentError(.stateMismatch, "a state of type \(Value.self) is not one of type \(type).")
        }
        return state
    }

    func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
}

/// How strictly a resumed pipeline has to be the one that was saved.
public enum ResumptionPolicy: Sendable, Hashable {
    /// The same stages in the same order and the same optimizer; their settings may differ.
    case sameStages
    /// Stages that still match are resumed; those that are new, or remember other things than they did, start afresh.
    ///
    /// The parameters have to be the same in any case.
    case matchingStages
}
