import Descent
import ExampleSupport
import Foundation

/// Measures how fast chains are, and how close that is to the speed of memory.
@main
struct Program {
    private let arguments: Arguments
    private let console = Console()

    /// Runs the program; its status is 1 if something failed.
    static func main() {
        do {
            let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
            try Program(arguments: arguments).run()
        } catch {
            Console().complain("descent-bench: \(error)")
            exit(1)
        }
    }

    private func run() throws {
        if arguments.asksForHelp { return console.write(Usage.text) }
        #if DEBUG
            console.complain("descent-bench: built without optimization; swift run -c release descent-bench")
        #endif
        let backend = SIMDBackend(threads: arguments.threads)
        if arguments.waitsForTurns {
            return try PeerTurns(
                subject: Subject(arguments.workloads[0], arguments.chains[0], on: backend), seconds: arguments.seconds
            ).run(console)
        }
        if !arguments.writesJSON {
            console.write("\(backend.instructionSet.rawValue), threads: \(backend.threadCount)")
            console.write(ResultTable.header)
        }
        for workload in arguments.workloads {
            for chain in arguments.chains {
                let measurement = try measure(workload, chain, on: backend)
                if arguments.writesJSON {
                    try console.write(json: measurement)
                } else {
                    console.write(ResultTable.line(measurement))
                }
            }
        }
    }

    private func measure(
        _ workload: Workload, _ chain: BenchmarkChain, on backend: SIMDBackend
    ) throws -> Measurement {
        guard arguments.isSingle else {
            return try OwnProcess(arguments: arguments.forOne(workload, chain)).measurement()
        }
        let measuring = Measuring(workload: workload, chain: chain, backend: backend, seconds: arguments.seconds)
        return try measuring.measurement()
    }
}
