import Descent
import ExampleSupport
import Foundation

/// Measures how fast chains are, and how close that is to the speed of memory.
@main
struct Program {
    private let arguments: Arguments
    private let console: Console

    static func main() {
        let command = Command("descent-bench", usage: Usage.text)
        command.run { arguments, console in
            let program = Program(arguments: try Arguments(&arguments), console: console)
            command.complainIfNotOptimized(console)
            try program.run()
            return 0
        }
    }

    private func run() throws {
        let backend = SIMDBackend(threads: arguments.threads)
        if arguments.waitsForTurns {
            return try PeerTurns(
                subject: Subject(arguments.workloads[0], arguments.chains[0], on: backend), seconds: arguments.seconds
            ).run(console)
        }
        if let plot = arguments.plot { return try draw(plot) }
        if !arguments.ranks.isEmpty { return try countExchanges() }
        try writeTitles(backend)
        for workload in arguments.workloads {
            for chain in arguments.chains { try write(try measure(workload, chain, on: backend)) }
        }
    }

    /// Counts what ranks send and remember.
    private func countExchanges() throws {
        console.write(Exchange.header)
        for workload in arguments.workloads {
            for gradientType in [ElementType.float32, .bfloat16] {
                for placement in Exchange.Placement.allCases {
                    for ranks in arguments.ranks {
                        console.write(try Exchange(workload, placement, gradientType, ranks: ranks).line)
                    }
                }
            }
        }
    }

    /// Measures models of different sizes, and draws how long they take.
    private func draw(_ path: String) throws {
        try writeTitles(SIMDBackend(threads: arguments.threads))
        let plot = try Plot(arguments) { workload, chain in
            let measurement = try measure(workload, chain, on: SIMDBackend(threads: arguments.threads))
            try write(measurement)
            return measurement
        }
        try PlotDrawing(plot).text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private func writeTitles(_ backend: SIMDBackend) throws {
        guard !arguments.writesJSON else { return }
        let threads = "\(backend.instructionSet.rawValue), threads: \(backend.threadCount)"
        guard arguments.asksForEvery else {
            console.write(threads)
            return console.write(ResultTable.header)
        }
        console.write("\(Machine.processor), \(threads)\n")
        console.write(EveryTable.header)
    }

    private func write(_ measurement: Measurement) throws {
        if arguments.writesJSON { return try console.write(json: measurement) }
        console.write(arguments.asksForEvery ? EveryTable.line(measurement) : ResultTable.line(measurement))
    }

    private func measure(
        _ workload: Workload, _ chain: BenchmarkChain, on backend: SIMDBackend
    ) throws -> Measurement {
        console.progress("measuring \(chain.name) over \(workload.name)", isMilestone: false, isLast: false)
        guard arguments.isSingle else {
            return try OwnProcess(arguments: arguments.forOne(workload, chain)).measurement()
        }
        let measuring = Measuring(workload: workload, chain: chain, backend: backend, seconds: arguments.seconds)
        return try measuring.measurement()
    }
}
