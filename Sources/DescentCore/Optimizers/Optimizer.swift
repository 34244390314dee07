/// The end of a pipeline: how parameters follow their gradients.
///
/// An optimizer is a value. The engine keeps its slots, resolves learning rate and weight decay for each parameter,
/// and calls ``update(_:)`` on every block of the last sweep of an applied step; skipped steps and accumulated
/// micro-batches never reach it.
/// ```swift
/// struct SignSGD: Optimizer {
///     var learningRate: Schedule
///     func update(_ block: inout some UpdateBlock) {
///         let rate = block.rates.learningRate
///         block.updateEach { gradient, parameter in
///             parameter -= gradient == 0 ? 0 : gradient > 0 ? rate : -rate
///         }
///     }
/// }
/// ```
public protocol Optimizer: Driving {
    /// What the optimizer has to remember between steps, besides its slots and the number of applied steps.
    associatedtype State: Codable & Sendable = Stateless
    /// How the weight decay is given: as a number or as a ``Schedule``.
    associatedtype WeightDecay: ScheduleConvertible = Schedule

    /// What the optimizer remembers between steps; saved with the pipeline.
    var state: State { get set }

    /// The name by which errors and explanations speak of the optimizer; by default the type's.
    var name: String { get }
    /// The learning rate of parameters that no group gives another one.
    var learningRate: Schedule { get }
    /// The weight decay of parameters that no group gives another one; by default 0.
    var weightDecay: WeightDecay { get }
    /// Rules for some of the parameters; a later one takes precedence. By default none.
    var groups: [ParameterGroup] { get }
    /// The settings that groups may give some of the parameters, besides learning rate and weight decay; by default none.
    ///
    /// An optimizer that lists one here reads it from its groups, for which there is ``GroupedRules``.
    var groupSettings: [GroupSettings.Name] { get }
    /// The buffers to keep of each of its parameters, zero at first; by default none.
    var slots: [Slot] { get }
    /// How much of a parameter the optimizer is handed at once; by default rows.
    var reach: StageReach { get }

    /// Checks the settings and gets ready for a layout, once, when the pipeline is built; a resumed state is set by then.
    ///
    /// - Throws: ``DescentError`` for settings out of range.
    mutating func configure(for layout: ParameterLayout) throws(DescentError)

    /// Carries what it remembers of each parameter, besides its slots, over to other parameters; by default nothing.
    ///
    /// Called before it is configured for them; ``ParameterLayout/positions(in:)`` says which of them it knows.
    mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout)

    /// What has to be known of the whole gradient that reaches the optimizer; by default nothing.
    var requirements: [Requirement] { get }

    /// Gets ready for a step, on one thread; by default ``prepare(appliedSteps:missedSteps:)``.
    ///
    /// A stage behind the optimizer may still skip the step. What it must not change then belongs into ``finish(_:)``.
    ///
    /// - Throws: ``DescentError``, which ends the step before anything has changed.
    mutating func prepare(_ step: inout StepPreparation) throws(DescentError)

    /// Gets ready for a step, on one thread, where nothing has to be known of the gradient; by default nothing.
    ///
    /// - Parameter appliedSteps: The number of steps applied before this one.
    mutating func prepare(appliedSteps: Int)

    /// Gets ready for a step, on one thread, where it matters how many updates each parameter has had, as it does for bias
    /// corrections; by default ``prepare(appliedSteps:)``.
    ///
    /// ``GroupedRules/updateEach(appliedSteps:missedSteps:_:)`` does what there is to do.
    ///
    /// - Parameters:
    ///   - appliedSteps: The number of steps applied before this one, which schedules follow.
    ///   - missedSteps: For each parameter, how many of them it took no part in; empty if all took part in all.
    mutating func prepare(appliedSteps: Int, missedSteps: [Int])

    /// How many floats of scratch the optimizer is lent for a whole tensor; see ``GradientTransform/scratchCount(for:)``.
    func scratchCount(for parameter: ParameterDescription) -> Int

    /// Whether what the optimizer makes of a parameter depends on which elements are a row, and so on where its outputs are.
    ///
    /// `explain()` then says what rows are understood to be. By default true where a slot keeps numbers for rows or columns.
    /// Asked of parameters of rank 2 and more; it changes nothing about a step.
    ///
    /// - Parameter parameter: One of those that the optimizer works on.
    /// - Returns: True where the other ``ParameterDescription/outputAxis`` would give another result.
    func dependsOnRows(of parameter: ParameterDescription) -> Bool

    /// Measures one number of a block, for an optimizer that requires ``Requirement/measured(_:)``.
    ///
    /// See ``GradientTransform/measure(_:of:)``; rates and parameters can be read.
    func measure(_ measurement: TensorMeasurement, of block: inout some UpdateBlock) -> Double

    /// Whether ``update(_:)`` does the same to two parameters that have the same rates and as many updates behind them; by
    /// default false.
    ///
    /// Where it does, small neighbouring tensors can be updated as one block, whose ``GradientBlock/parameterIndex`` is that
    /// of the first. ``GroupedRules/isSame(for:_:)`` knows whose settings are the same.
    func treatsAlike(_ parameter: Int, _ other: Int) -> Bool

    /// The kernel that gives the same as the optimizer's formula in this step, for backends that have it; by default nil.
    ///
    /// Where there is one, the engine has it make directions and updates, and asks the optimizer only where the backend
    /// has none.
    ///
    /// - Parameters:
    ///   - parameterIndex: The position of the parameter in the layout.
    ///   - rates: Its rates in this step.
    /// - Returns: The kernel and its numbers.
    func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule?

    /// Updates one block of parameters; called on many threads at once.
    func update(_ block: inout some UpdateBlock)

    /// Whether stages can stand behind the optimizer, because it moves parameters along a direction; by default false.
    ///
    /// Not to be implemented: ``DirectionalOptimizer`` says true.
    var hasDirection: Bool { get }

    /// Turns a block's gradient into the direction, where there is one.
    ///
    /// Not to be implemented: a ``DirectionalOptimizer`` has ``DirectionalOptimizer/makeDirection(_:)``.
    func turnIntoDirection(_ block: inout some UpdateBlock)

    /// Learns how the step ended, on one thread; by default nothing.
    ///
    /// - Throws: ``DescentError`` where training cannot go on.
    mutating func finish(_ result: StepResult) throws(DescentError)

    /// The settings, to be saved once they have been changed while training; nil where they cannot be written down.
    ///
    /// Not to be implemented: ``DescribedOptimizer`` has them.
    var savedSettings: (any ComponentState)? { get }

    /// Takes over settings that were saved.
    ///
    /// Not to be implemented: ``DescribedOptimizer`` does.
    ///
    /// - Throws: Any error if they are not this optimizer's.
    mutating func adopt(_ settings: any ComponentState) throws
}

extension Optimizer {
    /// The type's name.
    public var name: String { String(describing: Self.self) }
    /// No decay.
    public var weightDecay: Schedule { 0 }
    public var groups: [ParameterGroup] { [] }
    public var groupSettings: [GroupSettings.Name] { [] }
    public var slots: [Slot] { [] }
    public var reach: StageReach { .rows }
    public func treatsAlike(_ parameter: Int, _ other: Int) -> Bool { false }
    public func scratchCount(for parameter: ParameterDescription) -> Int { 0 }
    public func dependsOnRows(of parameter: ParameterDescription) -> Bool { slots.contains(where: \.isOfRows) }
    public func measure(_ measurement: TensorMeasurement, of block: inout some UpdateBlock) -> Double {
        stopForMisuse("\(name) declares that it measures the \(measurement): implement measure(_:of:).")
    }
    public func elementwiseRule(for parameterIndex: Int, _ rates: UpdateRates) -> ElementwiseRule? { nil }
    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {}
    public mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout) {}
    public var requirements: [Requirement] { [] }
    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {
        prepare(appliedSteps: step.appliedSteps, missedSteps: step.missedSteps)
    }
    public mutating func prepare(appliedSteps: Int) {}
    public mutating func prepare(appliedSteps: Int, missedSteps: [Int]) { prepare(appliedSteps: appliedSteps) }
    public mutating func finish(_ result: StepResult) throws(DescentError) {}
    public var savedSettings: (any ComponentState)? { nil }
    public mutating func adopt(_ settings: any ComponentState) throws {
        throw DescentError(.stateMismatch, stage: name, "\(name) is no DescribedOptimizer, whose settings can be read.")
    }
    public var hasDirection: Bool { false }
    public func turnIntoDirection(_ block: inout some UpdateBlock) {
        stopForMisuse("\(name) moves parameters in a way of its own and has no direction.")
    }
}

extension Optimizer where State == Stateless {
    /// Nothing; what is set is forgotten.
    public var state: Stateless {
        get { Stateless() }
        set {}
    }
}
