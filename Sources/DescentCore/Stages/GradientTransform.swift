/// A stage that changes gradients on their way to the optimizer.
///
/// An element-wise stage implements ``transform(_:)`` and nothing else. A stage that only scales conforms to
/// ``GradientScaling`` and implements ``requirements`` and ``prepare(_:)``.
///
/// In each step the engine measures what all stages require, in as few sweeps over the gradient as possible, calls
/// ``prepare(_:)`` of each stage in the order of the chain and on one thread, then runs ``transform(_:)`` on all
/// blocks, on many threads, while each is in cache. When the step's outcome is certain, ``finish(_:)`` tells it.
public protocol GradientTransform: Stage {
    /// What the stage has to remember between steps, besides its slots.
    associatedtype State: Codable & Sendable = Stateless

    /// What the stage remembers between steps; saved with the pipeline.
    var state: State { get set }

    /// What has to be known of the whole incoming gradient before any of it can be transformed; by default nothing.
    var requirements: [Requirement] { get }

    /// What the stage wants to be told in ``finish(_:)`` of the gradient that reached it; by default nothing.
    ///
    /// Unlike requirements, observations never cost a sweep of their own before the stage can act.
    var observations: [Requirement] { get }

    /// Whether the stage takes NaN and infinities out, of all parameters or of some, so that gradients are checked behind it.
    var repairsNonFinite: Bool { get }

    /// Whether ``prepare(_:)`` can throw; by default true.
    ///
    /// A stage behind an accumulation that says false and knows a norm lets windows close a little faster: their sum need
    /// not be kept as it was before the last micro-batch, for the case of an error.
    var canFail: Bool { get }

    /// How the stage acts on a gradient, as far as the planner can make use of it; by default ``StageEffect/arbitrary``.
    var effect: StageEffect { get }

    /// What the loss is to be multiplied by before gradients are taken, because the stage undoes it; by default 1.
    ///
    /// The chain's `lossScale` is the product of these. Such a stage turns gradients that are scaled into gradients that
    /// are not, which it says in its ``Stage/order``.
    var lossScale: Float { get }

    /// How much of a parameter the stage is handed at once; by default rows.
    var reach: StageReach { get }

    /// How many floats of scratch the stage is lent for a whole tensor, in ``UnsafeBlockElements/scratch``; by default 0.
    ///
    /// Each thread has as many as the largest tensor asks for, made when the pipeline is built.
    func scratchCount(for parameter: ParameterDescription) -> Int

    /// Whether what the stage makes of a parameter depends on which elements are a row, and so on where its outputs are.
    ///
    /// `explain()` then says what rows are understood to be. By default true where a slot keeps numbers for rows or columns.
    /// Asked of parameters of rank 2 and more; it changes nothing about a step.
    ///
    /// - Parameter parameter: One of those that the stage works on.
    /// - Returns: True where the other ``ParameterDescription/outputAxis`` would give another result.
    func dependsOnRows(of parameter: ParameterDescription) -> Bool

    /// The parameters that the stage works on; by default nil, for all.
    var restriction: ParameterSelection? { get }

    /// The buffers to keep between steps, zero at first; by default none.
    ///
    /// Those of a stage before an accumulation change with every micro-batch that becomes part of the window, whatever
    /// becomes of that. Where steps that are not finite are skipped, micro-batches that are not never reach such a stage,
    /// which costs one more reading of each.
    var slots: [Slot] { get }

    /// Checks the settings and gets ready for a layout, once, when the pipeline is built; a resumed state is set by then.
    ///
    /// - Throws: ``DescentError`` for settings out of range, or for a resumed state that no run can have left
    ///   (``DescentError/requireState(_:_:_:)``).
    mutating func configure(for layout: ParameterLayout) throws(DescentError)

    /// Carries what it remembers of each parameter, besides its slots, over to other parameters; by default nothing.
    ///
    /// Called before it is configured for them; ``ParameterLayout/positions(in:)`` says which of them it knows.
    mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout)

    /// Decides what the stage does in this step, on one thread, from what it required to know.
    ///
    /// What a step must not change when another stage vetoes it, or throws, belongs into ``finish(_:)``.
    ///
    /// - Throws: ``DescentError``, which ends the step before anything has changed.
    mutating func prepare(_ step: inout StepPreparation) throws(DescentError)

    /// Measures one number of a block, for a stage that requires or observes ``Requirement/measured(_:)``.
    ///
    /// Called on many threads at once, in the sweep that measures. The block is the incoming gradient's; changes of it, and
    /// of slots, are lost.
    func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double

    /// Whether ``transform(_:)`` does the same to all parameters, row by row, whatever their names and positions; by default
    /// false.
    ///
    /// Where it does, small neighbouring tensors can be worked on as one block, whose ``GradientBlock/parameterIndex`` is
    /// that of the first: a thousand of them then cost what their elements cost.
    var treatsParametersAlike: Bool { get }

    /// Works on one block; called on many threads at once, and in a step as often as there are sweeps.
    func transform(_ block: inout some GradientBlock)

    /// Learns how the step ended, on one thread: the place to advance counters and histories.
    ///
    /// - Throws: ``DescentError`` where training cannot go on, such as a loss scale that is exhausted.
    mutating func finish(_ result: StepResult) throws(DescentError)
}

/// The state of a stage that remembers nothing.
public struct Stateless: Codable, Sendable, Hashable {
    /// The only value.
    public init() {}
}

/// How a stage acts on a gradient, as far as the planner can make use of it.
public enum StageEffect: Sendable, Hashable {
    /// Multiplies each parameter's gradient by one number, given in `prepare`; `transform` is never called.
    ///
    /// Norms behind such a stage follow from norms before it.
    case scaling
    /// A linear function of each row: scaling its input scales its output alike. NaN and infinities show in its output,
    /// unless it says that it repairs them.
    ///
    /// Norms behind such a stage are measured, but in the same sweep as norms before it.
    case linear
    /// Anything else. If a stage behind it needs a norm, factors before it have to be known first.
    case arbitrary
}

extension GradientTransform {
    public var element: ChainElement { .transform(self) }
    public var requirements: [Requirement] { [] }
    public var observations: [Requirement] { [] }
    public var repairsNonFinite: Bool { false }
    public var treatsParametersAlike: Bool { false }
    public var canFail: Bool { true }
    public var effect: StageEffect { .arbitrary }
    public var lossScale: Float { 1 }
    public var reach: StageReach { .rows }
    public func scratchCount(for parameter: ParameterDescription) -> Int { 0 }
    public func dependsOnRows(of parameter: ParameterDescription) -> Bool { slots.contains(where: \.isOfRows) }
    public var restriction: ParameterSelection? { nil }
    public var slots: [Slot] { [] }
    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {}
    public mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout) {}
    public mutating func prepare(_ step: inout StepPreparation) throws(DescentError) {}
    public func measure(_ measurement: TensorMeasurement, of block: inout some GradientBlock) -> Double {
        stopForMisuse("\(name) declares that it measures the \(measurement): implement measure(_:of:).")
    }
    public mutating func finish(_ result: StepResult) throws(DescentError) {}
}

extension GradientTransform where State == Stateless {
    /// Nothing; what is set is forgotten.
    public var state: Stateless {
        get { Stateless() }
        set {}
    }
}

/// A stage that multiplies each parameter's gradient by one number, and costs no pass over memory.
///
/// Declare what has to be known in ``GradientTransform/requirements`` and set the factor in
/// ``GradientTransform/prepare(_:)``:
/// ```swift
/// struct Normalize: GradientScaling {
///     var requirements: [Requirement] { [.norm(.l2)] }
///     mutating func prepare(_ step: inout StepPreparation) {
///         step.scale(by: 1 / (Float(step.incoming.norm(.l2)) + 1e-6))
///     }
/// }
/// ```
public protocol GradientScaling: GradientTransform {}

extension GradientScaling {
    public var effect: StageEffect { .scaling }
    public func transform(_ block: inout some GradientBlock) {}
}
