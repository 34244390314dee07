import Descent
import DescentMPI

/// Runs one scenario as a rank of a job: `mpirun -n 4 mpi-scenarios NAME`.
///
/// A scenario throws where something does not hold, which ends the job with another status than 0.
@main
struct Program {
    private static let scenarios: [String: @Sendable (Communicator) throws -> Void] = [
        "sums": Scenario.sums,
        "broadcast": Scenario.broadcast,
        "training": Scenario.training,
        "weights": Scenario.weights,
        "arrival": Scenario.arrival,
        "frozen": Scenario.frozen,
        "order": Scenario.order,
        "sharding": Scenario.sharding,
        "shardedMemory": Scenario.shardedMemory,
        "shardedOverflow": Scenario.shardedOverflow,
        "overflow": Scenario.overflow,
        "emptyWindow": Scenario.emptyWindow,
        "otherLayout": Scenario.otherLayout,
        "otherElementType": Scenario.otherElementType,
        "otherSettings": Scenario.otherSettings,
        "otherParameters": Scenario.otherParameters,
        "badArgument": Scenario.badArgument,
        "silence": Scenario.silence,
        "unshardable": Scenario.unshardable,
        "fewerSteps": Scenario.fewerSteps,
        "wholeTensors": Scenario.wholeTensors,
        "wholeTensorsInShards": Scenario.wholeTensorsInShards,
        "error": Scenario.error,
        "death": Scenario.death,
    ]

    static func main() throws {
        let name = CommandLine.arguments.dropFirst().first ?? ""
        guard let scenario = scenarios[name] else {
            throw Failure("There is no scenario \"\(name)\"; there are \(scenarios.keys.sorted()).")
        }
        Communicator.withWorld(timeLimit: .seconds(name == "silence" ? 1 : 60)) { world in
            try scenario(world)
        }
    }
}

/// What can be done by several ranks together, with checks of what has to hold.
enum Scenario {}

/// Something that should have held and does not.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Throws if a condition does not hold.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw Failure(message()) }
}
