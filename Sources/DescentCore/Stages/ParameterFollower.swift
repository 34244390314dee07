/// A stage that follows the parameters as an optimizer moves them, such as an average of them.
///
/// It stands behind an optimizer, and behind all that is done to updates:
/// ```swift
/// AdamW().then { ExponentialMovingAverage(decay: 0.999) }
/// ```
public protocol ParameterFollower: Stage {
    /// What the stage has to remember between steps, besides its slots and the number of applied steps.
    associatedtype State: Codable & Sendable = Stateless

    /// What the stage remembers between steps; saved with the pipeline.
    var state: State { get set }

    /// The buffers to keep between steps, zero at first; by default none.
    var slots: [Slot] { get }

    /// Checks the settings and gets ready for a layout, once, when the pipeline is built; a resumed state is set by then.
    ///
    /// - Throws: ``DescentError`` for settings out of range.
    mutating func configure(for layout: ParameterLayout) throws(DescentError)

    /// Carries what it remembers of each parameter, besides its slots, over to other parameters; by default nothing.
    ///
    /// Called before it is configured for them; ``ParameterLayout/positions(in:)`` says which of them it knows.
    mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout)

    /// Gets ready for a step that is certain to be applied, on one thread.
    ///
    /// - Parameter appliedSteps: The number of steps applied before this one.
    mutating func prepare(appliedSteps: Int)

    /// Sees a block of parameters before they move; called on many threads at once. By default nothing.
    func willMove(_ block: inout some UpdateBlock)

    /// Follows a block of parameters that have moved, which it may change; called on many threads at once.
    func didMove(_ block: inout some UpdateBlock)
}

extension ParameterFollower {
    public var element: ChainElement { .follower(self) }
    public var slots: [Slot] { [] }
    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {}
    public mutating func relayout(from former: ParameterLayout, to layout: ParameterLayout) {}
    public mutating func prepare(appliedSteps: Int) {}
    public func willMove(_ block: inout some UpdateBlock) {}
}

extension ParameterFollower where State == Stateless {
    /// Nothing; what is set is forgotten.
    public var state: Stateless {
        get { Stateless() }
        set {}
    }
}
