/// What moves the parameters of a pipeline: an optimizer, one with stages behind it, or several that share the parameters.
///
/// ```swift
/// driving: {
///     Muon(learningRate: 0.02).only(.rank(2...2))
///     AdamW(learningRate: 0.001).then { TrustRatio() }
/// }
/// ```
/// A parameter belongs to the first whose selection holds it; one without a selection takes all that are left.
public protocol Driving: Sendable {
    /// Each optimizer, with the parameters that it takes and the stages behind it; the first that takes a parameter has it.
    var branches: [OptimizerBranch] { get }
}

/// An optimizer, the parameters that it takes, and the stages behind it.
public struct OptimizerBranch: Sendable {
    /// What turns gradients into updates.
    public var optimizer: any Optimizer
    /// The parameters that it takes, of those that no branch before has taken; nil for all.
    public var selection: ParameterSelection?
    /// What is done to updates, and what follows the parameters, in order.
    public var stages: [any Stage]
    /// Whether it is no error that the branch takes no parameter.
    public var mayBeUnused: Bool

    /// Describes a branch.
    ///
    /// - Parameters:
    ///   - optimizer: What turns gradients into updates.
    ///   - selection: The parameters that it takes, of those that no branch before has taken; nil for all.
    ///   - stages: What stands behind it.
    ///   - mayBeUnused: Whether it is no error that it takes no parameter.
    public init(
        _ optimizer: any Optimizer, only selection: ParameterSelection? = nil, then stages: [any Stage] = [],
        mayBeUnused: Bool = false
    ) {
        self.optimizer = optimizer
        self.selection = selection
        self.stages = stages
        self.mayBeUnused = mayBeUnused
    }
}

/// Optimizers with what has been said of them; made by ``Driving/then(_:)`` and ``Driving/only(_:mayBeUnused:)``.
public struct DrivingOptimizers: Driving {
    public let branches: [OptimizerBranch]

    /// Makes a list of branches one.
    public init(_ branches: [OptimizerBranch]) { self.branches = branches }
}

extension Driving {
    /// The optimizers and what stands behind each, in words: "AdamW → Lookahead".
    public var name: String {
        branches.map { ([$0.optimizer.name] + $0.stages.map(\.name)).joined(separator: " → ") }.joined(separator: " | ")
    }

    /// The same, with stages behind each optimizer that act on the update, before learning rate and sign.
    ///
    /// `AdamW().then { TrustRatio() }` is LAMB. Norms there are those of the optimizer's own parameters.
    ///
    /// - Parameter stages: Transforms, then what follows the parameters, such as an average.
    /// - Returns: The optimizer with the stages. One that moves parameters in a way of its own takes followers alone, which
    ///   is checked when the pipeline is built.
    public func then(@ChainBuilder _ stages: () -> [any Stage]) -> DrivingOptimizers {
        let more = stages()
        return changed { $0.stages += more }
    }

    /// The same, for some of the parameters; others are left to the optimizers after it.
    ///
    /// - Parameters:
    ///   - selection: Which parameters it takes.
    ///   - mayBeUnused: Whether it is no error that there are none.
    /// - Returns: The optimizer with its selection.
    public func only(_ selection: ParameterSelection, mayBeUnused: Bool = false) -> DrivingOptimizers {
        changed {
            $0.selection = $0.selection.map { $0.and(selection) } ?? selection
            $0.mayBeUnused = $0.mayBeUnused || mayBeUnused
        }
    }

    /// The same, for the parameters whose names begin like this; see ``only(_:mayBeUnused:)``.
    public func only(prefix: String) -> DrivingOptimizers { only(.named(prefix: prefix)) }

    /// The same, for the parameters for which a condition holds; see ``only(_:mayBeUnused:)``.
    public func only(where condition: @escaping @Sendable (ParameterDescription) -> Bool) -> DrivingOptimizers {
        only(.satisfying(condition))
    }

    private func changed(_ change: (inout OptimizerBranch) -> Void) -> DrivingOptimizers {
        var branches = branches
        for index in branches.indices { change(&branches[index]) }
        return DrivingOptimizers(branches)
    }
}

extension Optimizer {
    public var branches: [OptimizerBranch] { [OptimizerBranch(self)] }
}

/// Builds a list of optimizers that share the parameters of a pipeline.
@resultBuilder
public enum DrivingBuilder {
    /// An optimizer, or several.
    public static func buildExpression(_ driving: any Driving) -> [OptimizerBranch] { driving.branches }
    /// Branches that were made elsewhere.
    public static func buildExpression(_ branches: [OptimizerBranch]) -> [OptimizerBranch] { branches }
    /// A stage, which is no optimizer.
    @available(*, unavailable, message: "a stage stands in front of an optimizer: add `driving: { AdamW() }`")
    public static func buildExpression(_ stage: any Stage) -> [OptimizerBranch] { [] }
    /// Optimizers in sequence.
    public static func buildBlock(_ parts: [OptimizerBranch]...) -> [OptimizerBranch] { parts.flatMap { $0 } }
    /// An `if` without `else`.
    public static func buildOptional(_ part: [OptimizerBranch]?) -> [OptimizerBranch] { part ?? [] }
    /// The first branch of an `if`.
    public static func buildEither(first part: [OptimizerBranch]) -> [OptimizerBranch] { part }
    /// The second branch of an `if`.
    public static func buildEither(second part: [OptimizerBranch]) -> [OptimizerBranch] { part }
    /// A `for` loop.
    public static func buildArray(_ parts: [[OptimizerBranch]]) -> [OptimizerBranch] { parts.flatMap { $0 } }
    /// Optimizers behind an availability condition.
    public static func buildLimitedAvailability(_ part: [OptimizerBranch]) -> [OptimizerBranch] { part }
}

extension ChainBuilder {
    /// An optimizer, which is no stage.
    @available(*, unavailable, message: "an optimizer ends the chain: write it into `driving: { AdamW() }`")
    public static func buildExpression(_ optimizer: any Driving) -> [any Stage] { [] }
}
