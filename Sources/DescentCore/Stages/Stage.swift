/// What stands in a chain: a transform of gradients, an accumulation window, an exchange between processes, or a freeze.
///
/// Most stages are a ``GradientTransform``, which is also what anybody can write. The other kinds are few, and the engine
/// knows each of them.
public protocol Stage: Sendable {
    /// The name by which errors and explanations speak of the stage; by default the type's.
    var name: String { get }

    /// What the stage expects of the gradients that reach it and what it leaves behind; by default nothing.
    var order: StageOrder { get }

    /// What the stage is.
    var element: ChainElement { get }

    /// The settings, to be saved once they have been changed while training; nil where they cannot be written down.
    ///
    /// Not to be implemented: ``DescribedStage`` has them.
    var savedSettings: (any ComponentState)? { get }

    /// Takes over settings that were saved.
    ///
    /// Not to be implemented: ``DescribedStage`` does.
    ///
    /// - Throws: Any error if they are not this stage's.
    mutating func adopt(_ settings: any ComponentState) throws
}

extension Stage {
    public var name: String { String(describing: Self.self) }
    public var order: StageOrder { .anywhere }
    public var savedSettings: (any ComponentState)? { nil }
    public mutating func adopt(_ settings: any ComponentState) throws {
        throw DescentError(.stateMismatch, stage: name, "\(name) is no DescribedStage, whose settings can be read.")
    }
}

/// The kinds of things that stand in a chain.
public enum ChainElement: Sendable {
    /// Something that is done to gradients.
    case transform(any GradientTransform)
    /// The gathering of several micro-batches into one step; a chain has one at most.
    ///
    /// What stands before it works on each micro-batch, what stands behind it on the whole window, and the optimizer runs
    /// once a window.
    case window(AccumulationWindow.Settings)
    /// The combination of gradients with those of other processes; a chain has one at most.
    case exchange(any GradientExchange)
    /// The removal of parameters: they are not measured, not transformed and not updated.
    case freeze(ParameterSelection)
    /// Something that follows the parameters as an optimizer moves them; stands behind an optimizer.
    case follower(any ParameterFollower)
}
