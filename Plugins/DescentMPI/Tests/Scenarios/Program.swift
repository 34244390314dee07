import DescentDistributed
import DescentMPI
import DescentTestKit
import DistributedScenarios
import Foundation

/// Runs one scenario as a rank of a job: `mpirun -n 4 mpi-scenarios NAME`.
///
/// A scenario throws where something does not hold, which ends the job with another status than 0.
@main
struct Program {
    /// What only processes can do, since it ends them.
    private static let deaths: [String: Scenario.Body] = [
        "silence": { world in
            if world.rank == world.rankCount - 1 { while true { sleep(1) } }
            try world.barrier()
        },
        "death": { world in try Scenario.train(world) { step in if step == 5 { kill(getpid(), SIGKILL) } } },
    ]

    static func main() throws {
        let name = CommandLine.arguments.dropFirst().first ?? ""
        if name == "communicator" {
            return MPICommunicator.withCommunicator { communicator in
                if let complaint = complaint(about: communicator) { throw Failure(complaint) }
            }
        }
        let all = [Scenario.all, Scenario.disagreements, Scenario.endings, deaths]
        guard let scenario = all.lazy.compactMap({ $0[name] }).first else {
            throw Failure("There is no scenario \"\(name)\"; there are \(all.flatMap(\.keys).sorted()).")
        }
        MPICommunicator.withWorld(timeLimit: .seconds(name == "silence" ? 1 : 60)) { world in
            try scenario(world)
        }
    }
}
