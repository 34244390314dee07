import Descent
public import DescentDistributed

/// What several ranks do together, with checks of what has to hold: the same over every communicator.
///
/// A scenario throws where something does not hold.
public enum Scenario {
    /// Runs as one of the ranks.
    public typealias Body = @Sendable (ProcessGroup) throws -> Void

    /// What ends well on every rank, by name; also with a single rank.
    public static let all: [String: Body] = [
        "sums": sums,
        "sixteenBits": sixteenBits,
        "broadcast": broadcast,
        "training": training,
        "weights": weights,
        "arrival": arrival,
        "frozen": frozen,
        "order": order,
        "sharding": sharding,
        "shardedMemory": shardedMemory,
        "shardedOverflow": shardedOverflow,
        "shardedRecipes": shardedRecipes,
        "shardedFindings": shardedFindings,
        "shardedResumption": shardedResumption,
        "shardedLowPrecision": shardedLowPrecision,
        "overflow": overflow,
        "emptyWindow": emptyWindow,
        "unshardable": unshardable,
        "wholeTensors": wholeTensors,
    ]

    /// What several ranks disagree in, and all find out.
    public static let disagreements: [String: Body] = [
        "otherLayout": otherLayout,
        "otherElementType": otherElementType,
        "otherSettings": otherSettings,
        "otherParameters": otherParameters,
        "badArgument": badArgument,
        "changedSettings": changedSettings,
        "otherMetrics": otherMetrics,
        "throwingStage": throwingStage,
        "throwingBeforeWholeTensors": throwingBeforeWholeTensors,
        "discarded": discarded,
        "shardedMisuse": shardedMisuse,
    ]

    /// What ends with an error on all ranks.
    public static let endings: [String: Body] = ["fewerSteps": fewerSteps, "error": error]

    /// Trains without end; before each step the last rank is told of it.
    public static func train(_ world: ProcessGroup, _ lastRank: (Int) throws -> Void) throws {
        var parameters = try TensorSet([ParameterDescription("weight", shape: [30, 40])])
        var pipeline = try trainer(parameters, world)
        let gradients = parameters
        for step in 0... {
            if world.rank == world.rankCount - 1 { try lastRank(step) }
            _ = try pipeline.step(&parameters, gradients: gradients)
        }
    }

    static func trainer(_ parameters: TensorSet, _ world: ProcessGroup) throws -> Pipeline {
        try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
            AllReduce(over: world)
        } driving: {
            SGD(learningRate: 1)
        }
    }
}

/// Something that should have held and does not.
public struct Failure: Error, CustomStringConvertible {
    public let description: String

    /// Describes it.
    public init(_ description: String) { self.description = description }
}

/// Throws if a condition does not hold.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw Failure(message()) }
}
