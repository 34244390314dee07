import Descent
import DescentDistributed
import DescentMPI
import Foundation

/// Measures how much of an exchange of gradients a backward pass hides.
///
///     mpirun -n 2 overlap-mpi "1 Gbit/s" 5
///
/// The arguments are what the link is called, how many steps of each kind are measured, and how many elements a bucket
/// holds, which the ranks choose unless it is given. Rank 0 prints a row of a table:
/// how long a step takes with all gradients handed over behind the backward pass, and with each as soon as it is made.
///
/// The backward pass makes nothing: it sleeps as long as making each gradient would take, so that ranks which share
/// processors do not slow each other down. The median of the steps counts.
@main
struct Program {
    private static let tensorCount = 48
    private static let shape = [256, 512]
    private static let timePerTensor = Duration.milliseconds(5)

    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        let name = arguments.first ?? "this machine"
        let stepCount = max(1, arguments.dropFirst().first.flatMap { Int($0) } ?? 5)
        MPICommunicator.withWorld(timeLimit: .seconds(60)) { world in
            let program = try Program(world, bucketLength: arguments.dropFirst(2).first.flatMap { Int($0) })
            let atOnce = try program.stepTime(stepCount, isStreamed: false)
            let streamed = try program.stepTime(stepCount, isStreamed: true)
            if world.rank == 0 { program.write(name, atOnce, streamed) }
        }
    }

    private let world: ProcessGroup
    private let layout: ParameterLayout
    private let bucketLength: Int?
    /// How long the backward pass is meant to take.
    private var backwardTime: Duration { Self.timePerTensor * Self.tensorCount }

    private init(_ world: ProcessGroup, bucketLength: Int?) throws {
        (self.world, self.bucketLength) = (world, bucketLength)
        layout = try ParameterLayout(
            (0..<Self.tensorCount).map { try ParameterDescription("matrix\($0)", shape: Self.shape) })
    }

    /// The median time of a step, backward pass included.
    private func stepTime(_ stepCount: Int, isStreamed: Bool) throws -> Duration {
        var parameters = TensorSet(zeros: layout)
        let gradients = parameters
        var pipeline = try Pipeline(for: parameters, on: SIMDBackend(threads: 1)) {
            AllReduce(over: world, bucketLength: bucketLength)
        } driving: {
            SGD(learningRate: 1)
        }
        var times: [Duration] = []
        // The first step has more to do: it compares parameters.
        for _ in 0...stepCount {
            try world.barrier()
            let start = ContinuousClock.now
            for parameter in layout.indices.reversed() {
                Thread.sleep(forTimeInterval: Self.timePerTensor / .seconds(1))
                if isStreamed { try pipeline.receive(gradients, of: parameter) }
            }
            let outcome =
                isStreamed ? try pipeline.step(&parameters) : try pipeline.step(&parameters, gradients: gradients)
            stopUnless(outcome.isApplied, "The step is skipped.")
            times.append(ContinuousClock.now - start)
        }
        times.removeFirst()
        return times.sorted()[times.count / 2]
    }

    private func write(_ name: String, _ atOnce: Duration, _ streamed: Duration) {
        let sent = ExchangeCosts(elementCount: layout.elementCount, rankCount: world.rankCount).sentBytes
        let (exposed, hidden) = (atOnce - backwardTime, atOnce - streamed)
        let cells = [
            "\(world.rankCount)", name, world.linkSpeed?.description ?? "nothing", "\(sent / 1_000_000) MB",
            whole(backwardTime), whole(atOnce), whole(streamed),
            String(format: "%.0f%%", 100 * (hidden / exposed)),
        ]
        print("| " + cells.joined(separator: " | ") + " |")
    }

    private func whole(_ duration: Duration) -> String { String(format: "%.0f ms", duration / .milliseconds(1)) }
}
