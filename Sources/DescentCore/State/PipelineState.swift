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
    /// What schedules remember that follow a metric, by what they are for.
    public let metricStates: [String: MetricState]
    /// The stages in the order of the chain, then each optimizer with the stages behind it.
    public let components: [Component]
    /// Which rows of the parameters the slots hold, where several processes share them; nil where they hold all.
    ///
    /// Of each slot there is then the part that `RowDivision.part(of:_:of:rank:)` says.
    public let division: RowDivision?

    /// What one stage or the optimizer remembers.
    public struct Component: Sendable {
        /// Which type it is: what has to be the same for state to be resumed.
        public let kind: String
        /// Its name, which tells its settings; these may have changed when state is resumed.
        public let name: String
        /// What it remembers besides its slots.
        public let state: any ComponentState
        /// Its buffers.
        public let slots: [SavedSlot<Tensors>]
        /// Its settings, where they were changed while training; nil where they are those that it was built with.
        public let changedSettings: (any ComponentState)?

        /// Describes a component as it was saved.
        public init(
            kind: String, name: String, state: any ComponentState, slots: [SavedSlot<Tensors>],
            changedSettings: (any ComponentState)? = nil
        ) {
            self.kind = kind
            self.name = name
            self.state = state
            self.slots = slots
            self.changedSettings = changedSettings
        }

        /// The same component with settings that were changed while training.
        func with(changedSettings: any ComponentState) -> Component {
            Component(kind: kind, name: name, state: state, slots: slots, changedSettings: changedSettings)
        }
    }

    /// Describes a pipeline as it was saved.
    public init(
        counters: StepCounters, layout: ParameterLayout, components: [Component],
        metricStates: [String: MetricState] = [:], division: RowDivision? = nil
    ) {
        self.division = division
        self.metricStates = metricStates
        self.counters = counters
        self.layout = layout
        self.components = components
    }
}

/// A buffer of a stage or an optimizer, as it was saved.
public struct SavedSlot<Tensors: TensorStorage>: Sendable {
    /// The slot's name.
    public let name: String
    /// How many numbers it keeps of a parameter.
    public let shape: Slot.Shape
    /// The numbers; of a parameter that its owner does not work on, none.
    public let tensors: Tensors
    /// What is kept of the parameters by all processes together: the layout of the numbers, where this is all.
    public let whole: ParameterLayout

    /// Describes a buffer as it was saved.
    ///
    /// - Parameters:
    ///   - name: The slot's name.
    ///   - shape: How many numbers it keeps of a parameter.
    ///   - tensors: The numbers.
    ///   - whole: What is kept by all processes together, where the numbers are a part of it.
    public init(name: String, shape: Slot.Shape = .parameter, tensors: Tensors, of whole: ParameterLayout? = nil) {
        self.name = name
        self.shape = shape
        self.tensors = tensors
        self.whole = whole ?? tensors.layout
    }

    /// The position of the first parameter of which it keeps a part of another size than it should; nil if there is none.
    ///
    /// - Parameters:
    ///   - layout: The parameters.
    ///   - division: Which rows are kept; nil for all.
    /// - Returns: The position.
    func firstMismatch(in layout: ParameterLayout, _ division: RowDivision?) -> Int? {
        let found = tensors.layout
        guard found.count == layout.count else { return 0 }
        guard var expected = try? Slot.layout(shape, tensors.elementType, of: layout) else { return 0 }
        if let division {
            guard let part = try? division.part(of: expected, shape, of: layout, rank: division.rank) else { return 0 }
            expected = part.layout
        }
        return layout.indices.first { index in
            found[index].name != layout[index].name
                || (found[index].count > 0 && found[index].count != expected[index].count)
        }
    }
}

/// How strictly a resumed pipeline has to be the one that was saved.
public enum ResumptionPolicy: Sendable, Hashable {
    /// The same stages in the same order and the same optimizer; their settings may differ.
    case sameStages
    /// Stages that still match are resumed; those that are new, or remember other things than they did, start afresh.
    ///
    /// To an optimizer that starts afresh its next step is the first one, to which bias corrections count; a follower begins
    /// at the parameters. Schedules go on. An open window whose stages have another loss scale is brought to it.
    ///
    /// The parameters have to be the same in any case.
    case matchingStages
}
