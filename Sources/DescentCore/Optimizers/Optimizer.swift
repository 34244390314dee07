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
public protocol Optimizer: Sendable {
    /// What the optimizer has to remember between steps, besides its slots and the number of applied steps.
    associatedtype State: Codable & Sendable = Stateless

    /// What the optimizer remembers between steps; saved with the pipeline.
    var state: State { get set }

    /// The name by which errors and explanations speak of the optimizer; by default the type's.
    var name: String { get }
    /// The learning rate of parameters that no group gives another one.
    var learningRate: Schedule { get }
    /// The weight decay of parameters that no group gives another one; by default 0.
    var weightDecay: Float { get }
    /// Rules for some of the parameters; a later one takes precedence. By default none.
    var groups: [ParameterGroup] { get }
    /// The settings that groups may give some of the parameters, besides learning rate and weight decay; by default none.
    ///
    /// An optimizer that lists one here reads it from its groups, for which there is ``GroupedRules``.
    var groupSettings: [GroupSettings.Name] { get }
    /// The parameter-shaped buffers to keep, zero at first; by default none.
    var slots: [Slot] { get }

    /// Checks the settings and gets ready for a layout, once, when the pipeline is built; a resumed state is set by then.
    ///
    /// - Throws: ``DescentError`` for settings out of range.
    mutating func configure(for layout: ParameterLayout) throws(DescentError)

    /// Gets ready for an applied step, on one thread.
    ///
    /// - Parameter appliedSteps: The number of steps applied before this one.
    mutating func prepare(appliedSteps: Int)

    /// Updates one block of parameters; called on many threads at once.
    func update(_ block: inout some UpdateBlock)

    /// Whether the step depends on the size of the whole update of a parameter, as LAMB's does; by default false.
    ///
    /// Such an optimizer takes one sweep more: in the first ``propose(_:)`` turns gradients into proposed updates and keeps
    /// what it needs in slots, the engine measures them, ``prepareUpdate(updateNorms:parameterNorms:)`` is told, and
    /// ``update(_:)`` then moves the parameters in a second sweep, from the slots alone.
    var proposesUpdate: Bool { get }

    /// Turns a block's gradient into the update proposed for it, and brings the slots up to date; by default nothing.
    func propose(_ block: inout some UpdateBlock)

    /// Makes ready to move the parameters, knowing the L2 norms of each and of the update proposed for it; by default nothing.
    mutating func prepareUpdate(updateNorms: [Double], parameterNorms: [Double])
}

extension Optimizer {
    public var name: String { String(describing: Self.self) }
    public var weightDecay: Float { 0 }
    public var groups: [ParameterGroup] { [] }
    public var groupSettings: [GroupSettings.Name] { [] }
    public var slots: [Slot] { [] }
    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {}
    public mutating func prepare(appliedSteps: Int) {}
    public var proposesUpdate: Bool { false }
    public func propose(_ block: inout some UpdateBlock) {}
    public mutating func prepareUpdate(updateNorms: [Double], parameterNorms: [Double]) {}
}

extension Optimizer where State == Stateless {
    public var state: Stateless {
        get { Stateless() }
        set {}
    }
}
